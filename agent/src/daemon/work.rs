//! The agent's loop.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rackcast_consul::reconcile::{Desired, Standing};
use rackcast_consul::settings;
use rackcast_service::drain::Order;
use rackcast_service::notify;
use rackcast_service::reload::Waiting;
use rackcast_service::starved::{Sample, Watch};
use rackcast_service::status::{HealthState, ServiceStatus};
use tokio::sync::watch;

use super::own;
use crate::board::{Board, Rules};
use crate::config::Config;
use crate::control::{Judged, Machine};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::orders::Notice;
use crate::poll::{Answer, Poller, sockets_in};
use crate::probe::{self, Finding, Findings};
use crate::registration::Registrar;
use crate::settle::Settled;
use crate::trust::Trust;

const PROC: &str = "/proc";
/// So much later than asked a look may come on an idle machine: timers count whole milliseconds.
const GRAIN: Duration = Duration::from_millis(2);

/// What the loop is told.
pub(super) struct Inlets {
    /// What an operator wants.
    pub(super) orders: watch::Receiver<Order>,
    /// By the probes of the machine.
    pub(super) findings: watch::Receiver<Findings>,
    /// How the fleet's settings stand.
    pub(super) settings: watch::Receiver<settings::Standing>,
    /// Keys of the agent's own configuration that wait, where that can be reloaded.
    pub(super) waiting: Option<watch::Receiver<Waiting>>,
}

/// Where what the loop finds goes.
pub(super) struct Outlets {
    /// To the reconciler.
    pub(super) desired: watch::Sender<Vec<Desired>>,
    /// To the agent's endpoints.
    pub(super) own: watch::Sender<ServiceStatus>,
    /// To the control socket.
    pub(super) machine: watch::Sender<Machine>,
}

pub(super) struct Agent {
    config: Config,
    board: Board,
    poller: Poller,
    /// When this loop looked last: services are judged by the time until then.
    looked: Instant,
    /// Itself, while something stands still.
    waits: Watch,
    registrar: Registrar,
    settled: Settled,
    metrics: Metrics,
    orders: watch::Receiver<Order>,
    findings: watch::Receiver<Findings>,
    settings: watch::Receiver<settings::Standing>,
    waiting: Option<watch::Receiver<Waiting>>,
    notice: Notice,
    outlets: Outlets,
    standing: Standing,
    /// What systemd was told last.
    told: String,
    /// What the folder of sockets said last time, if it could not be read.
    scan_error: Option<io::ErrorKind>,
    journal: Journal,
}

impl Agent {
    pub(super) fn new(config: Config, metrics: Metrics, inlets: Inlets, outlets: Outlets) -> Self {
        let check = &config.check;
        let rules = Rules {
            silent_after: check.silent_after,
            stalled_after: check.stalled_after,
            starved_after: check.starved_after,
            forget_after: check.forget_after,
            recover_after: check.recover_after,
        };
        let sockets = config
            .service
            .iter()
            .map(|service| service.socket.as_path());
        let mut agent = Self {
            board: Board::new(rules),
            poller: Poller::new(
                check.poll_interval,
                check.scan_interval,
                Trust::new(&config),
            ),
            looked: Instant::now(),
            waits: Watch::default(),
            registrar: Registrar::new(&config),
            settled: Settled::new(check.settle_interval),
            metrics,
            orders: inlets.orders,
            findings: inlets.findings,
            settings: inlets.settings,
            waiting: inlets.waiting,
            notice: Notice::new(&config.socket_dir, sockets),
            outlets,
            standing: Standing::Pending,
            told: String::new(),
            scan_error: None,
            journal: Journal::default(),
            config,
        };
        agent.report();
        agent
    }

    pub(super) async fn run(mut self, mut standing: watch::Receiver<Standing>) {
        let interval = self.config.check.scan_interval;
        let mut scan = tokio::time::interval(interval);
        scan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.looked = Instant::now();
        loop {
            tokio::select! {
                // First, so that nobody is judged by time that this loop did not have.
                biased;
                _ = scan.tick() => {
                    let now = Instant::now();
                    let missed = self.missed(now, interval);
                    self.board.lost(missed, now);
                    self.looked = now;
                    self.hear_ready().await;
                    self.look();
                    self.publish();
                }
                answer = self.poller.answer() => {
                    self.hear(answer);
                    self.hear_ready().await;
                    self.publish();
                }
                Ok(()) = self.orders.changed() => {
                    self.report();
                    self.publish();
                }
                Ok(()) = self.settings.changed() => self.report(),
                Ok(()) = self.findings.changed() => {
                    self.report();
                    self.publish();
                }
                Some(waiting) = changed(&mut self.waiting) => {
                    self.outlets.own.send_modify(|own| own.waiting = waiting);
                    self.publish();
                }
                Ok(()) = standing.changed() => {
                    self.standing = standing.borrow_and_update().clone();
                    self.report();
                }
            }
            self.outlets
                .own
                .send_modify(|own| own.progress = own.progress.wrapping_add(1));
        }
    }

    fn hear(&mut self, answer: Answer) {
        let socket = answer.socket.clone();
        self.journal.answered(&socket, answer.result.as_ref().err());
        self.metrics.polled(answer.label());
        self.board
            .hear(&socket, answer.into_heard(), Instant::now());
    }

    /// Hears every answer that is there: nobody is judged while his lies unread.
    async fn hear_ready(&mut self) {
        tokio::task::yield_now().await;
        while let Some(answer) = self.poller.ready() {
            self.hear(answer);
        }
    }

    /// Of the time since the last look, what this process did not have: it was stopped, or this loop or
    /// what asks for it was not let run.
    fn missed(&mut self, now: Instant, interval: Duration) -> Duration {
        let waited = if self.board.still(now).is_empty() {
            self.waits = Watch::default();
            Duration::ZERO
        } else {
            let own = Sample::of(Path::new(PROC), std::process::id());
            self.waits.take(own, now);
            self.waits.since(self.looked).waited
        };
        lost(now.saturating_duration_since(self.looked), interval, waited)
    }

    /// Asks the sockets that there are and those that were there; has them find the order.
    fn look(&mut self) {
        let mut sockets: BTreeSet<PathBuf> = self.board.sockets().cloned().collect();
        let configured = self.config.service.iter();
        sockets.extend(configured.map(|service| service.socket.clone()));
        match sockets_in(&self.config.socket_dir) {
            Ok(found) => {
                self.scan_error = None;
                sockets.extend(found);
            }
            Err(error) if self.scan_error == Some(error.kind()) => {}
            Err(error) => {
                log::error!(
                    "{} cannot be read: {error}",
                    self.config.socket_dir.display()
                );
                self.scan_error = Some(error.kind());
            }
        }
        sockets.remove(&self.config.status_socket);
        // A few small reads of a memory file system, and only while something stands still. Before it is
        // asked: who answers wants to run.
        for (socket, pid) in self.board.still(Instant::now()) {
            let own = Sample::of(Path::new(PROC), pid);
            let children = Sample::of_children(Path::new(PROC), pid);
            self.board.watched(&socket, own, children, Instant::now());
        }
        self.poller.ask(sockets, Instant::now());
        self.report();
    }

    /// Hands on what shall stand in Consul now, and what is known.
    fn publish(&mut self) {
        let now = Instant::now();
        let order = self.orders.borrow_and_update().clone();
        let findings = self.findings.borrow_and_update().clone();
        let machine_finding = probe::sum(findings.values());
        let mut desired = BTreeMap::new();
        let mut judged = BTreeMap::new();
        let mut known = Vec::new();
        for service in self.board.judge(self.looked) {
            let want = self
                .registrar
                .desired(&service, &order, machine_finding.as_ref());
            let id = want.as_ref().map_or_else(
                || service.socket.display().to_string(),
                |want| want.registration.service.id.clone(),
            );
            let is_clash = desired.contains_key(&id);
            known.push(Judged {
                id: id.clone(),
                registered: want.is_some() && !is_clash,
                running: service.running,
                state: service.verdict.state,
                reason: service.verdict.reason.clone(),
                status: service.status.clone(),
            });
            let Some(mut want) = want else { continue };
            if is_clash {
                self.journal.clash(service.socket, &id);
                continue;
            }
            judged.insert(id.clone(), service.verdict.state);
            self.journal.judged(&id, &service);
            self.settled
                .settle(&mut want.registration, service.status.ready, now);
            desired.insert(id, want);
        }
        self.journal.keep(|id| desired.contains_key(id));
        self.settled.keep(|id| desired.contains_key(id));
        self.metrics
            .judged(judged.iter().map(|(id, state)| (id.as_str(), *state)));
        self.outlets
            .desired
            .send_replace(desired.into_values().collect());
        self.outlets.machine.send_modify(|machine| {
            machine.agent.clone_from(&self.outlets.own.borrow());
            machine.order = order;
            machine.services = known;
            machine.findings = findings;
        });
    }

    /// Says how the agent itself is: its registrations, and whether the services can be told.
    fn report(&mut self) {
        let order = self.orders.borrow().clone();
        let untold = self.notice.post(&order).map(str::to_owned);
        let mut health = own::health(&self.standing, untold.as_deref());
        {
            let findings = self.findings.borrow();
            self.metrics.found(&findings);
            let refused = self.settings.borrow().complaint().map(Finding::warning);
            if let Some(found) = probe::sum(findings.values().chain(&refused)) {
                health.state = health.state.max(found.state);
                health.summary = format!("{}; {}", health.summary, found.line);
            }
        }
        self.metrics.standing(&self.standing);
        self.metrics.order(&order);
        let line = match order.is_drain() {
            true => format!("{order}; {}", health.summary),
            false => health.summary.clone(),
        };
        if line == self.told {
            return;
        }
        match health.state {
            HealthState::Passing => log::debug!("{line}"),
            _ => log::warn!("{line}"),
        }
        notify::status(&line);
        self.told = line;
        self.outlets.own.send_modify(|own| {
            own.ready = self.standing != Standing::Pending;
            own.health = health;
        });
    }
}

/// What the agent lost of the `time` between two looks: by so much the second came late, or its threads
/// waited for a CPU. They wait side by side, and not all for the same: of what came in time at least
/// half counts, or a busy machine would hide a service that hangs for ever.
fn lost(time: Duration, interval: Duration, waited: Duration) -> Duration {
    let late = time.saturating_sub(interval + GRAIN);
    late.max(waited.min(time / 2))
}

/// What waits, whenever that changes; never, if nothing can.
async fn changed(waiting: &mut Option<watch::Receiver<Waiting>>) -> Option<Waiting> {
    let waiting = waiting.as_mut()?;
    waiting.changed().await.ok()?;
    Some(waiting.borrow_and_update().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_late_every_time_loses_that_every_time_and_waits_count_by_half() {
        let millis = Duration::from_millis;
        let of = |time, waited| lost(millis(time), millis(100), millis(waited));
        assert_eq!([99, 100, 102].map(|time| of(time, 0)), [millis(0); 3]);
        assert_eq!([190, 3_000].map(|t| of(t, 0)), [millis(88), millis(2_898)]);
        assert_eq!([of(100, 30), of(190, 60)], [millis(30), millis(88)]);
        assert_eq!([of(100, 100), of(190, 190)], [millis(50), millis(95)]);
    }
}
