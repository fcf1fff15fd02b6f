//! What is known of each service on this machine, and the judgement of it. Pure.
//!
//! | What was heard | Judgement |
//! |---|---|
//! | a status, and progress moves | the service's own |
//! | a status that is not ready, and not ill either | critical: it starts |
//! | a status whose progress stands still | critical after `stalled_after` |
//! | a socket that answers late or nonsense | as before, critical after `silent_after` |
//! | no socket any more, after draining | it finished: deregistered at once |
//! | no socket any more, out of the blue | critical at once, deregistered after `forget_after` |
//!
//! A service that comes back on its socket is judged by its new status alone; a process that was
//! critical, and is still the same, must have been well for `recover_after` before that is believed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rackcast_service::status::{HealthState, ServiceStatus};

/// When patience ends.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A service that does not answer for so long is critical.
    pub silent_after: Duration,
    /// A service whose progress stands still for so long is critical.
    pub stalled_after: Duration,
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
    absent_since: Option<Instant>,
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
        // What was judged of its silence so far must not be forgotten with its next word.
        if let Some(known) = self.services.get_mut(socket) {
            known.note(&self.rules, now);
        }
        match (heard, self.services.get_mut(socket)) {
            (Heard::Status(status), Some(known)) => {
                known.answer(*status, now);
                known.note(&self.rules, now);
            }
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

    /// The sockets of the services that are known.
    pub fn sockets(&self) -> impl Iterator<Item = &PathBuf> {
        self.services.keys()
    }

    /// Every service with its judgement, in the order of the sockets.
    pub fn judge(&self, now: Instant) -> impl Iterator<Item = Judged<'_>> {
        self.services.iter().map(move |(socket, service)| Judged {
            socket,
            status: &service.status,
            running: service.absent_since.is_none(),
            verdict: service.verdict(&self.rules, now),
            asked: service.asked,
        })
    }
}

impl Service {
    fn new(status: ServiceStatus, now: Instant) -> Self {
        Self {
            status,
            asked: now,
            answered: now,
            progressed: now,
            absent_since: None,
            fault: None,
        }
    }

    fn answer(&mut self, status: ServiceStatus, now: Instant) {
        let moved = status.progress != self.status.progress || status.pid != self.status.pid;
        let progressed = if moved { now } else { self.progressed };
        let same = status.pid == self.status.pid;
        *self = Self {
            progressed,
            fault: self.fault.take().filter(|_| same),
            ..Self::new(status, now)
        };
    }

    /// Remembers a fault until the process has been well for long enough.
    fn note(&mut self, rules: &Rules, now: Instant) {
        let verdict = self.at_once(rules, now);
        let is_fault = verdict.state == HealthState::Critical
            && self.absent_since.is_none()
            && !self.is_starting();
        if is_fault {
            self.fault = Some(Fault {
                reason: verdict.reason,
                well_since: None,
            });
        } else if let Some(fault) = &mut self.fault {
            let since = *fault.well_since.get_or_insert(now);
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
        if self.absent_since.is_some() {
            critical("not running: nobody listens on its status socket")
        } else if lasts(self.answered, rules.silent_after) {
            critical("hangs: no answer on its status socket")
        } else if lasts(self.progressed, rules.stalled_after) {
            critical("stuck: its progress stands still")
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
mod tests {
    use rackcast_service::status::{Health, Role};

    use super::*;

    const RULES: Rules = Rules {
        silent_after: Duration::from_secs(10),
        stalled_after: Duration::from_secs(30),
        forget_after: Duration::from_secs(600),
        recover_after: Duration::ZERO,
    };

    /// A board with one service, on virtual time.
    struct Scene {
        board: Board,
        start: Instant,
    }

    fn status(progress: u64) -> ServiceStatus {
        ServiceStatus {
            role: Role::Ingest,
            instance: "1".into(),
            node: "n".into(),
            version: "1".into(),
            pid: 1,
            protocol: 1,
            ready: true,
            draining: false,
            health: Health::passing("3 streams"),
            endpoints: BTreeMap::new(),
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weight: 1,
            progress,
            work: 0,
            devices: Vec::new(),
        }
    }

    impl Scene {
        fn new() -> Self {
            Self::with(RULES)
        }

        fn with(rules: Rules) -> Self {
            Self {
                board: Board::new(rules),
                start: Instant::now(),
            }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn says(&mut self, second: u64, status: ServiceStatus) -> String {
            self.hears(second, Heard::Status(Box::new(status)))
        }

        fn hears(&mut self, second: u64, heard: Heard) -> String {
            self.board.hear(Path::new("/s"), heard, self.at(second));
            self.judged(second)
        }

        fn judged(&self, second: u64) -> String {
            let judged = self.board.judge(self.at(second)).next();
            judged.map_or("unknown".into(), |judged| {
                format!("{}: {}", judged.verdict.state, judged.verdict.reason)
            })
        }
    }

    #[test]
    fn a_service_is_what_it_says() {
        let mut scene = Scene::new();
        assert_eq!(scene.hears(0, Heard::Absent), "unknown");
        assert_eq!(scene.hears(0, Heard::Nothing), "unknown");
        let starting = ServiceStatus {
            ready: false,
            ..status(0)
        };
        assert_eq!(scene.says(1, starting), "critical: starting");
        assert_eq!(scene.says(2, status(1)), "passing: 3 streams");
        let draining = ServiceStatus {
            ready: false,
            draining: true,
            ..status(2)
        };
        assert_eq!(scene.says(3, draining), "passing: 3 streams");
        let ill = ServiceStatus {
            health: Health::critical("no device"),
            ..status(3)
        };
        assert_eq!(scene.says(4, ill.clone()), "critical: no device");
        let ill = ServiceStatus {
            ready: false,
            ..ill
        };
        assert_eq!(scene.says(5, ill), "critical: no device");
    }

    #[test]
    fn a_service_that_stands_still_is_stuck() {
        let mut scene = Scene::new();
        scene.says(0, status(7));
        assert_eq!(scene.says(29, status(7)), "passing: 3 streams");
        assert_eq!(
            scene.says(30, status(7)),
            "critical: stuck: its progress stands still"
        );
        assert_eq!(scene.says(31, status(8)), "passing: 3 streams");
        // A restarted service counts from the beginning, perhaps to the same number.
        let restarted = ServiceStatus {
            pid: 2,
            ..status(8)
        };
        assert_eq!(scene.says(61, restarted), "passing: 3 streams");
    }

    #[test]
    fn a_process_that_was_critical_must_be_well_for_a_while() {
        let rules = Rules {
            recover_after: Duration::from_secs(5),
            ..RULES
        };
        let mut scene = Scene::with(rules);
        let ill = ServiceStatus {
            health: Health::critical("no device"),
            ..status(1)
        };
        let yet = "critical: not well for long enough yet; it was: no device";
        assert_eq!(scene.says(0, status(0)), "passing: 3 streams");
        assert_eq!(scene.says(1, ill.clone()), "critical: no device", "at once");
        assert_eq!(
            [scene.says(2, status(2)), scene.says(6, status(6))],
            [yet; 2]
        );
        assert_eq!(scene.says(7, status(7)), "passing: 3 streams");
        // It relapses: the time counts anew.
        scene.says(8, ill.clone());
        scene.says(9, status(9));
        scene.says(13, ill);
        assert_eq!(
            [scene.says(14, status(14)), scene.says(18, status(18))],
            [yet; 2]
        );
        assert_eq!(scene.says(19, status(19)), "passing: 3 streams");
        // So does silence, and another process is another matter.
        scene.hears(29, Heard::Nothing);
        let hung = "critical: not well for long enough yet; it was: hangs: no answer on its status \
                    socket";
        assert_eq!(scene.says(30, status(30)), hung);
        let restarted = ServiceStatus {
            pid: 2,
            ..status(0)
        };
        assert_eq!(scene.says(31, restarted), "passing: 3 streams");
    }

    #[test]
    fn a_service_that_answers_late_is_given_time() {
        let mut scene = Scene::new();
        scene.says(0, status(1));
        assert_eq!(scene.hears(9, Heard::Nothing), "passing: 3 streams");
        let hangs = "critical: hangs: no answer on its status socket";
        assert_eq!(scene.hears(10, Heard::Nothing), hangs);
        assert_eq!(scene.says(11, status(2)), "passing: 3 streams");
    }

    #[test]
    fn a_service_that_vanishes_is_critical_at_once_and_forgotten_late() {
        let mut scene = Scene::new();
        scene.says(0, status(1));
        let gone = "critical: not running: nobody listens on its status socket";
        assert_eq!(scene.hears(1, Heard::Absent), gone);
        assert_eq!(scene.hears(600, Heard::Absent), gone);
        assert_eq!(scene.hears(601, Heard::Absent), "unknown");

        scene.says(0, status(1));
        scene.hears(1, Heard::Absent);
        assert_eq!(scene.says(2, status(1)), "passing: 3 streams");
        assert_eq!(scene.hears(602, Heard::Absent), gone, "counted anew");
    }

    #[test]
    fn a_service_that_drained_is_forgotten_when_it_ends() {
        let mut scene = Scene::new();
        scene.says(
            0,
            ServiceStatus {
                draining: true,
                ..status(1)
            },
        );
        assert_eq!(scene.hears(1, Heard::Absent), "unknown");
    }
}
