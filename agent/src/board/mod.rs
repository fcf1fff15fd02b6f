//! What is known of each service on this machine, and the judgement of it. Pure.
//!
//! | What was heard | Judgement |
//! |---|---|
//! | a status, and progress moves | the service's own |
//! | a status that is not ready, and not ill either | critical: it starts |
//! | a status whose progress stands still | critical after `stalled_after` |
//! | a socket that answers late or nonsense | as before, critical after `silent_after` |
//! | either, of a process that waits for a CPU or a disk, that starts, or of which the kernel says nothing | critical after `starved_after` |
//! | no socket any more, after draining | it finished: deregistered at once |
//! | no socket any more, out of the blue | critical at once, deregistered after `forget_after` |
//!
//! Services move several times a second while they live, so that those two times are short. What keeps
//! them from alarming falsely: a process that the machine does not let run is told from one that hangs,
//! and what processes waited for a CPU makes both times longer ([`starved`](rackcast_service::starved));
//! time that the agent itself did not have does not count. What was seen of a process's waits is
//! forgotten when it moves, and not when it speaks: an answer may be older than the wait.
//!
//! A service that comes back on its socket is judged by its new status alone; a process that was
//! critical, and is still the same, must have been well for `recover_after` before that is believed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rackcast_service::starved::{Sample, Watch, patience};
use rackcast_service::status::{HealthState, ServiceStatus};

/// When patience ends.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A service that does not answer for so long is critical.
    pub silent_after: Duration,
    /// A service whose progress stands still for so long is critical, if it says that it moves more
    /// often while it lives.
    pub stalled_after: Duration,
    /// The same two for a service that waits for a CPU or a disk, or that has not started yet.
    pub starved_after: Duration,
    /// A service that vanished without draining is forgotten after so long.
    pub forget_after: Duration,
    /// A process that was critical must have been well for so long to be believed.
    pub recover_after: Duration,
}

/// What one question to a status socket gave.
#[derive(Debug)]
pub enum Heard {
    /// An answer.
    Status(Box<ServiceStatus>),
    /// The socket is there, and no sound answer came.
    Nothing,
    /// Nobody listens there.
    Absent,
}

/// The judgement of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The grade.
    pub state: HealthState,
    /// Why, in words that stay the same while nothing changes.
    pub reason: String,
}

/// A service with its judgement.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Its status socket.
    pub socket: &'a Path,
    /// What it said last.
    pub status: &'a ServiceStatus,
    /// Whether anybody listened there last.
    pub running: bool,
    /// The judgement of now.
    pub verdict: Verdict,
    /// When the socket was last asked: the judgement is as old as that.
    pub asked: Instant,
}

/// All services of this machine.
#[derive(Debug)]
pub struct Board {
    rules: Rules,
    services: BTreeMap<PathBuf, Service>,
}

#[derive(Debug)]
struct Service {
    status: ServiceStatus,
    asked: Instant,
    answered: Instant,
    progressed: Instant,
    /// The process itself, and its children, since it moved last.
    own: Watch,
    children: Watch,
    /// The kernel does not say how its process is.
    hidden: bool,
    absent_since: Option<Instant>,
    /// This process has been fit for work: before that it is not ill, it starts.
    was_ready: bool,
    fault: Option<Fault>,
}

/// What was wrong with a process.
#[derive(Debug)]
struct Fault {
    reason: String,
    /// Since when it is no more.
    well_since: Option<Instant>,
}

impl Board {
    /// Knows nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            services: BTreeMap::new(),
        }
    }

    /// Takes down what a question to `socket`, answered at `now`, gave.
    pub fn hear(&mut self, socket: &Path, heard: Heard, now: Instant) {
        match (heard, self.services.get_mut(socket)) {
            (Heard::Status(status), Some(known)) => known.answer(*status, now),
            (Heard::Status(status), None) => {
                self.services
                    .insert(socket.to_owned(), Service::new(*status, now));
            }
            (_, None) => {}
            (Heard::Nothing, Some(known)) => {
                known.asked = now;
                known.absent_since = None;
            }
            (Heard::Absent, Some(known)) => {
                known.asked = now;
                let absent_since = *known.absent_since.get_or_insert(now);
                let gone_for = now.saturating_duration_since(absent_since);
                if known.status.draining || gone_for >= self.rules.forget_after {
                    self.services.remove(socket);
                }
            }
        }
    }

    /// Time until `now` that the agent did not have: nobody's silence counts for so long.
    pub fn lost(&mut self, time: Duration, now: Instant) {
        for service in self.services.values_mut() {
            service.answered = now.min(service.answered + time);
            service.progressed = now.min(service.progressed + time);
        }
    }

    /// The services that may be about to be judged hung or stuck, with their processes.
    pub fn still(&self, now: Instant) -> Vec<(PathBuf, u32)> {
        let limit = self.rules.stalled_after.min(self.rules.silent_after) / 3;
        let still = |service: &Service| {
            now.saturating_duration_since(service.progressed) >= limit
                && service.absent_since.is_none()
        };
        let found = self.services.iter().filter(|(_, service)| still(service));
        found
            .map(|(socket, service)| (socket.clone(), service.status.pid))
            .collect()
    }

    /// How such a process and its children are kept waiting.
    pub fn watched(
        &mut self,
        socket: &Path,
        own: Option<Sample>,
        children: Option<Sample>,
        now: Instant,
    ) {
        if let Some(service) = self.services.get_mut(socket) {
            service.hidden = own.is_none();
            service.own.take(own, now);
            service.children.take(children, now);
        }
    }

    /// The sockets of the services that are known.
    pub fn sockets(&self) -> impl Iterator<Item = &PathBuf> {
        self.services.keys()
    }

    /// Every service with its judgement, in the order of the sockets. What is wrong is remembered, so
    /// that the next word does not undo it: judge by no time in which answers may lie there unheard.
    pub fn judge(&mut self, now: Instant) -> impl Iterator<Item = Judged<'_>> {
        for service in self.services.values_mut() {
            service.note(&self.rules, now);
        }
        let rules = &self.rules;
        self.services.iter().map(move |(socket, service)| Judged {
            socket,
            status: &service.status,
            running: service.absent_since.is_none(),
            verdict: service.verdict(rules, now),
            asked: service.asked,
        })
    }
}

impl Service {
    fn new(status: ServiceStatus, now: Instant) -> Self {
        Self {
            was_ready: status.ready,
            status,
            asked: now,
            answered: now,
            progressed: now,
            own: Watch::default(),
            children: Watch::default(),
            hidden: false,
            absent_since: None,
            fault: None,
        }
    }

    fn answer(&mut self, status: ServiceStatus, now: Instant) {
        let moved = status.progress != self.status.progress || status.pid != self.status.pid;
        // Not since this was heard: a service that was asked just before it stopped had moved earlier.
        let still = Duration::from_millis(status.still_ms.unwrap_or_default());
        let moved_at = now.checked_sub(still).unwrap_or(self.progressed);
        let progressed = match moved {
            true => self.progressed.max(moved_at),
            false => self.progressed,
        };
        let same = status.pid == self.status.pid;
        let kept = |watch: &mut Watch| {
            watch.forget(progressed);
            match same {
                true => std::mem::take(watch),
                false => Watch::default(),
            }
        };
        *self = Self {
            progressed,
            own: kept(&mut self.own),
            children: kept(&mut self.children),
            was_ready: status.ready || (same && self.was_ready),
            fault: self.fault.take().filter(|_| same),
            ..Self::new(status, now)
        };
    }

    /// Remembers a fault until the process has been well for long enough.
    fn note(&mut self, rules: &Rules, now: Instant) {
        let verdict = self.at_once(rules, now);
        let is_fault = verdict.state == HealthState::Critical
            && self.absent_since.is_none()
            && self.was_ready
            && !self.is_starting();
        if is_fault {
            self.fault = Some(Fault {
                reason: verdict.reason,
                well_since: None,
            });
        } else if let Some(fault) = &mut self.fault {
            // Heard since, it may be judged by a time before.
            let since = *fault.well_since.get_or_insert(now.max(self.answered));
            if now.saturating_duration_since(since) >= rules.recover_after {
                self.fault = None;
            }
        }
    }

    /// Not ready, and well otherwise: what is ill says itself why.
    fn is_starting(&self) -> bool {
        let status = &self.status;
        !status.ready && !status.draining && status.health.state != HealthState::Critical
    }

    fn verdict(&self, rules: &Rules, now: Instant) -> Verdict {
        let verdict = self.at_once(rules, now);
        match &self.fault {
            Some(fault) if verdict.state != HealthState::Critical => Verdict {
                state: HealthState::Critical,
                reason: format!("not well for long enough yet; it was: {}", fault.reason),
            },
            _ => verdict,
        }
    }

    /// The judgement without memory.
    fn at_once(&self, rules: &Rules, now: Instant) -> Verdict {
        let lasts = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let critical = |reason: &str| Verdict {
            state: HealthState::Critical,
            reason: reason.to_owned(),
        };
        let long = self.hidden || self.is_starting();
        let patience = |limit: Duration, since: Instant, watches: &[&Watch]| match long {
            true => limit.max(rules.starved_after),
            false => {
                let waits: Vec<_> = watches.iter().map(|watch| watch.since(since)).collect();
                patience(limit, rules.starved_after, &waits)
            }
        };
        let silent = rules.silent_after;
        let stalled = match self.status.beat_ms {
            0 => rules.stalled_after.max(rules.starved_after),
            ms => rules.stalled_after.max(2 * Duration::from_millis(ms)),
        };
        if self.absent_since.is_some() {
            critical("not running: nobody listens on its status socket")
        } else if lasts(self.answered, patience(silent, self.answered, &[&self.own])) {
            critical("hangs: no answer on its status socket")
        } else if lasts(
            self.progressed,
            patience(stalled, self.progressed, &[&self.own, &self.children]),
        ) {
            // Its last move is older than its last answer: one that does not answer either hangs.
            match lasts(self.answered, silent / 2) {
                true => critical("hangs: no answer on its status socket"),
                false => critical("stuck: its progress stands still"),
            }
        } else if self.is_starting() {
            critical("starting")
        } else {
            Verdict {
                state: self.status.health.state,
                reason: self.status.health.summary.clone(),
            }
        }
    }
}

#[cfg(test)]
mod busy;
#[cfg(test)]
mod tests;
