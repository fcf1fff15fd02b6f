//! Tells the supervisor once a second that this generation moves, and hears when to stop.

use std::time::Duration;

use bytes::Bytes;
use rackcast_service::frame::Framed;
use rackcast_service::status::{Health, ServiceStatus};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::dispatch::Dispatcher;
use crate::supervisor::control::{Order, Report};

const INTERVAL: Duration = Duration::from_secs(1);

/// Reports until the supervisor says stop or is gone.
pub(super) async fn until_stopped(
    mut control: Framed,
    status: &watch::Sender<ServiceStatus>,
    known: &watch::Receiver<bool>,
    dispatcher: &Dispatcher,
) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let report = report(status, *known.borrow(), dispatcher);
                if let Err(e) = control.send(&report, Bytes::new()).await {
                    log::error!("the supervisor cannot be reached: {e}");
                    return;
                }
            }
            order = control.recv::<Order>() => {
                match order {
                    Ok(Some((Order::Stop, _))) => log::info!("told to stop"),
                    Ok(None) => log::error!("the supervisor is gone"),
                    Err(e) => log::error!("the supervisor cannot be understood: {e}"),
                }
                return;
            }
        }
    }
}

/// That this runs at all is the progress: timers fire and tasks are scheduled.
fn report(status: &watch::Sender<ServiceStatus>, known: bool, dispatcher: &Dispatcher) -> Report {
    let nodes = dispatcher.router().table().len();
    let health = match nodes {
        0 => Health::warning("no transcode node is known: streams have their source only"),
        _ => Health::passing("serving"),
    };
    status.send_modify(|s| {
        s.ready = known;
        s.health = health;
        s.progress += 1;
    });
    let s = status.borrow();
    Report {
        ready: s.ready,
        health: s.health.clone(),
        progress: s.progress,
    }
}
