//! What the node tells of itself: to the agent, on its admin endpoints, to systemd.
//!
//! It begins first and ends last, so that a node that drains says so to the end.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rackcast_service::drain::{self, Order};
use rackcast_service::reload::Waiting;
use rackcast_service::status::{self, ServiceStatus};
use rackcast_service::{admin, notify, vital};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::sockets::Bound;
use crate::config::Config;
use crate::gpus;
use crate::scheduler::Scheduler;
use crate::status::{Identity, Steady};

/// How often the status is made anew: so much later is it known that no worker moves.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// How long the agent may take to hear that the node has finished.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is told, by tasks that end together.
pub(super) struct Report {
    socket: status::Serving,
    admin: JoinHandle<()>,
    keeping: JoinHandle<()>,
}

/// Whom it is about, and what it looks at.
struct Node {
    identity: Identity,
    scheduler: Arc<Scheduler>,
    gpus: watch::Receiver<gpus::Known>,
    waiting: watch::Receiver<Waiting>,
}

impl Report {
    /// Begins to tell, and to obey the machine's orders.
    pub(super) fn begin(
        config: &Config,
        identity: Identity,
        scheduler: &Arc<Scheduler>,
        waiting: watch::Receiver<Waiting>,
        (admin, registry): (Bound, Registry),
        end: &CancellationToken,
    ) -> Result<Self, StartError> {
        let node = Node {
            identity,
            scheduler: Arc::clone(scheduler),
            gpus: gpus::watch(&config.gpu),
            waiting,
        };
        let (told, heard) = watch::channel(node.first());
        let path = &config.status_socket;
        let socket = status::serve(path, heard.clone(), end.clone());
        let socket = socket.map_err(|source| StartError::Socket {
            path: path.clone(),
            source,
        })?;
        let admin = admin::serve(admin.listener, registry, heard, end.clone());
        let orders = drain::follow(drain::file_beside(path), end.clone());
        scheduler.drain(orders.borrow().is_drain());
        let keeping = node.keep(orders, told, end.clone());
        let keeping = vital::spawn("the report of the node's state", end, keeping);
        Ok(Self {
            socket,
            admin,
            keeping,
        })
    }

    /// Waits until the agent has heard that the node has finished, if there is an agent.
    pub(super) async fn farewell(&mut self) {
        self.socket.farewell(FAREWELL).await;
    }

    /// Waits until nobody can hear anything any more.
    pub(super) async fn ended(self) {
        for task in [self.socket.into_future(), self.admin, self.keeping] {
            let _ = task.await;
        }
    }
}

impl Node {
    /// Before anything is known.
    fn first(&self) -> ServiceStatus {
        let (load, slots) = (self.scheduler.load(), self.scheduler.slots());
        let progress = self.scheduler.progress();
        self.identity
            .status(&load, &slots, &self.gpus.borrow(), progress)
    }

    /// Keeps the status true and the machine's order obeyed, tells systemd, and feeds its watchdog.
    async fn keep(
        self,
        orders: watch::Receiver<Order>,
        told: watch::Sender<ServiceStatus>,
        end: CancellationToken,
    ) {
        let fed = Arc::clone(&self.scheduler);
        let watchdog = notify::watchdog(notify::advancing(move || fed.progress()), end.clone());
        tokio::join!(watchdog, async {
            end.run_until_cancelled(self.tell(orders, told)).await;
        });
    }

    async fn tell(&self, mut orders: watch::Receiver<Order>, told: watch::Sender<ServiceStatus>) {
        let mut ticks = interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut started, mut summary) = (false, String::new());
        let mut steady = Steady::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = orders.changed() => {
                    self.scheduler.drain(orders.borrow_and_update().is_drain());
                }
            }
            let (now, up) = self.now(&mut steady);
            // One that starts on a machine that drains has started all the same.
            if up > 0 && !started {
                started = true;
                notify::ready();
            }
            if now.health.summary != summary {
                summary.clone_from(&now.health.summary);
                notify::status(&summary);
            }
            told.send_if_modified(|old| {
                let changed = *old != now;
                *old = now;
                changed
            });
        }
    }

    /// The status, and how many workers are shown as up.
    fn now(&self, steady: &mut Steady) -> (ServiceStatus, u32) {
        let mut load = self.scheduler.load();
        let slots = self.scheduler.slots();
        let workers = self.identity.workers();
        load.slots = steady.of(std::time::Instant::now(), load.slots, workers, &slots);
        let progress = self.scheduler.progress();
        let known = self.gpus.borrow();
        let mut now = self.identity.status(&load, &slots, &known, progress);
        drop(known);
        now.waiting.clone_from(&self.waiting.borrow());
        self.scheduler.metrics.gpus.show(&now.devices);
        (now, load.slots)
    }
}
