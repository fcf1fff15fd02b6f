//! Tells the supervisor four times a second how this generation is, and does what it orders.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntCounter;
use rackcast_consul::settings::Standing;
use rackcast_service::frame::{FrameError, Framed};
use rackcast_service::reload::{Live, Metrics as Reloads, Outcome, Refused, Waiting};
use rackcast_service::status::{Health, ServiceStatus};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::http;
use super::others::Others;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::origin::Origin;
use crate::rtmp;
use crate::stream::Registry;
use crate::supervisor::control::{Order, Reloaded, Report};
use crate::turn::Turn;

/// What an agent takes for a sign of life: it costs a few microseconds.
const INTERVAL: Duration = Duration::from_millis(250);

/// The generation's end of its control socket.
pub(super) struct Reporter {
    pub(super) control: Framed,
    pub(super) status: watch::Sender<ServiceStatus>,
    /// The catalog was asked.
    pub(super) known: watch::Receiver<bool>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) registry: Arc<Registry>,
    pub(super) origin: Arc<Origin>,
    pub(super) rtmp: rtmp::Metrics,
    pub(super) http: http::Metrics,
    pub(super) others: Others,
    pub(super) live: Arc<Live<Config>>,
    /// How this ingest stands to the fleet's settings.
    pub(super) settings: watch::Receiver<Standing>,
    pub(super) reloads: Reloads,
    /// Keys that wait here.
    pub(super) waiting: watch::Receiver<Waiting>,
    /// Keys that wait in the supervisor.
    pub(super) waiting_above: Waiting,
    pub(super) turn: Turn,
    pub(super) handover_failures: IntCounter,
    /// How the last reload went.
    pub(super) reloaded: Option<Reloaded>,
}

impl Reporter {
    /// Waits for the supervisor's first word, which tells of the other generations.
    pub(super) async fn introduced(&mut self) -> Result<(), FrameError> {
        match self.control.recv::<Order>().await? {
            Some((order, payload)) => self.obey(order, &payload).await,
            None => Ok(()),
        }
    }

    /// Reports and obeys until the supervisor says stop or is gone.
    pub(super) async fn until_stopped(mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.known.clone();
        let mut told_ready = false;
        loop {
            let sent = tokio::select! {
                _ = ticks.tick() => self.report().await,
                // Whoever waits for this generation to be ready learns it at once.
                _ = known.wait_for(|known| *known), if !told_ready => {
                    told_ready = true;
                    self.report().await
                }
                order = self.control.recv::<Order>() => match order {
                    Ok(Some((Order::Stop, _))) => {
                        log::info!("told to stop");
                        return;
                    }
                    Ok(Some((order, payload))) => self.obey(order, &payload).await,
                    Ok(None) => {
                        log::error!("the supervisor is gone");
                        return;
                    }
                    Err(e) => Err(e),
                },
            };
            if let Err(e) = sent {
                log::error!("the supervisor cannot be reached or understood: {e}");
                return;
            }
        }
    }

    async fn obey(&mut self, order: Order, payload: &[u8]) -> Result<(), FrameError> {
        match order {
            Order::Retire => {
                log::info!("a newer generation accepts; this one serves what it has");
                self.turn.retire();
            }
            Order::Leave => {
                log::info!("told to send its publishers to the newer generation");
                self.turn.retire();
                self.turn.leave();
            }
            Order::Peers { others } => self.others.set(others),
            Order::Reload { number } => {
                self.reload(number, payload).await;
                return self.report().await;
            }
            Order::Waiting { keys } => self.waiting_above = keys,
            Order::Refused => self.reloads.failed(),
            Order::HandoverFailed => self.handover_failures.inc(),
            Order::Stop | Order::Unknown => {}
        }
        Ok(())
    }

    /// Puts another text of the configuration file in force.
    async fn reload(&mut self, number: u64, text: &[u8]) {
        let (live, text) = (
            Arc::clone(&self.live),
            String::from_utf8_lossy(text).into_owned(),
        );
        // Files are read: keys, certificates.
        let result = tokio::task::spawn_blocking(move || live.replace(text)).await;
        let result = result.unwrap_or_else(|e| Err(Refused::Part(e.to_string())));
        if result.is_ok() {
            self.reloads.succeeded();
        } else {
            self.reloads.failed();
        }
        let renewed = result
            .as_ref()
            .map(|outcome: &Outcome| outcome.renewed.clone());
        self.reloaded = Some(Reloaded {
            number,
            renewed: renewed.unwrap_or_default(),
            refused: result.err().map(|refused| refused.to_string()),
        });
    }

    async fn report(&mut self) -> Result<(), FrameError> {
        let report = self.state();
        self.control.send(&report, Bytes::new()).await
    }

    /// That this runs at all is the progress: timers fire and tasks are scheduled.
    fn state(&self) -> Report {
        let mut waiting = self.waiting.borrow().clone();
        waiting.extend(self.waiting_above.clone());
        self.reloads.wait(&waiting);
        let nodes = self.dispatcher.router().table().len();
        let health = match nodes {
            0 => Health::warning("no transcode node is known: streams have their source only"),
            _ => match self.settings.borrow().complaint() {
                Some(complaint) => Health::warning(complaint),
                None => Health::passing("serving"),
            },
        };
        self.status.send_modify(|s| {
            s.ready = *self.known.borrow();
            s.health = health;
            s.progress += 1;
            s.waiting = waiting;
        });
        let s = self.status.borrow();
        Report {
            ready: s.ready,
            health: s.health.clone(),
            progress: s.progress,
            beat_ms: u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX),
            streams: u64::try_from(self.registry.len()).unwrap_or(u64::MAX),
            idle: self.is_idle(),
            version: s.version.clone(),
            waiting: s.waiting.clone(),
            reloaded: self.reloaded.clone(),
        }
    }

    /// It has retired, and nobody needs it any more.
    fn is_idle(&self) -> bool {
        self.turn.has_retired()
            && self.registry.is_empty()
            && self.origin.is_empty()
            && self.rtmp.open() == 0
            && self.http.open() == 0
    }
}
