//! Which generations there are and what each of them does. Pure: the time comes in as a parameter.
//!
//! ```text
//! start ─▶ starting ── ready ─▶ serving ── a newer one is ready ─▶ retired ── limit ─▶ leaving
//!             └ not in time: killed,  └ dies: replaced               └ idle ─▶ ending ◀─┘
//!               the one before serves on
//! ```
//!
//! One serves: it accepts publishers and answers all HTTP. At most one starts beside it, and takes
//! over when it is ready and not before, so that nothing that is wrong with a new one ends what an
//! old one serves. Those that retired keep their publishers until those leave, until their time is
//! over, or until there are too many of them: the oldest goes first.

use std::time::{Duration, Instant};

use rackcast_service::process::Backoff;
pub use rackcast_service::status::Phase;
use serde::{Deserialize, Serialize};

use super::Config;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Start a generation with this number.
    Start(u64),
    /// Tell it to accept nothing more.
    Retire(u64),
    /// Tell it to send its publishers to the one that serves.
    Leave(u64, Why),
    /// Tell it to stop.
    Stop(u64),
    /// Kill it.
    Kill(u64, Why),
    /// Tell all of each other.
    Introduce,
    /// This one serves now.
    TookOver(u64),
    /// A new one will not take over; the one before goes on.
    HandoverFailed(u64),
}

/// Why something is done to a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It says nothing.
    #[error("it said nothing for supervisor.silence")]
    Silent,
    /// It did not become ready.
    #[error("it was not ready within supervisor.start_limit")]
    Late,
    /// It is the oldest of too many.
    #[error("there are more than supervisor.max_generations")]
    TooMany,
    /// It has served long enough.
    #[error("it retired supervisor.generation_limit ago")]
    Old,
    /// It was told to stop and does not.
    #[error("it did not stop within supervisor.stop_grace")]
    Stubborn,
}

#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    phase: Phase,
    /// Since when it is in this phase.
    since: Instant,
    /// When it last said something.
    heard: Instant,
}

/// A set of generations, to be kept over a change of the supervisor's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The number of the next one.
    pub next: u64,
    /// Each with its phase, and for how many milliseconds it has been in it.
    pub generations: Vec<(u64, Phase, u64)>,
}

/// One generation, as it stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its number.
    pub number: u64,
    /// What it is doing.
    pub phase: Phase,
    /// For how long.
    pub age: Duration,
    /// How long it may go on, where that is limited.
    pub left: Option<Duration>,
}

/// The generations of one ingest.
#[derive(Debug)]
pub struct Set {
    config: Config,
    /// How long a generation that sent its publishers away may serve what they left.
    retention: Duration,
    entries: Vec<Entry>,
    next: u64,
    /// A hand-over was asked for while another was under way.
    wanted: bool,
    /// None serves or starts: when one is to be started.
    due: Option<Instant>,
    failures: u32,
    stopping: bool,
}

impl Set {
    /// None yet: the first is due at once.
    pub fn new(config: Config, retention: Duration, now: Instant) -> Self {
        Self {
            config,
            retention,
            entries: Vec::new(),
            next: 1,
            wanted: false,
            due: Some(now),
            failures: 0,
            stopping: false,
        }
    }

    /// Those that an earlier program of this supervisor started.
    pub fn resume(config: Config, retention: Duration, saved: &Saved, now: Instant) -> Self {
        let ago = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap_or(now);
        let entry = |(number, phase, ms): &(u64, Phase, u64)| Entry {
            number: *number,
            phase: *phase,
            since: ago(*ms),
            heard: now,
        };
        let entries: Vec<_> = saved.generations.iter().map(entry).collect();
        let serves = |e: &Entry| matches!(e.phase, Phase::Starting | Phase::Serving);
        let due = (!entries.iter().any(serves)).then_some(now);
        Self {
            entries,
            next: saved.next,
            due,
            ..Self::new(config, retention, now)
        }
    }

    /// What [`resume`](Self::resume) takes.
    pub fn save(&self, now: Instant) -> Saved {
        let ms = |since| {
            let age = now.saturating_duration_since(since).as_millis();
            u64::try_from(age).unwrap_or(u64::MAX)
        };
        let entries = self.entries.iter();
        Saved {
            next: self.next,
            generations: entries.map(|e| (e.number, e.phase, ms(e.since))).collect(),
        }
    }

    /// Each of them, the oldest first.
    pub fn show(&self, now: Instant) -> Vec<Shown> {
        let shown = |e: &Entry| Shown {
            number: e.number,
            phase: e.phase,
            age: now.saturating_duration_since(e.since),
            left: self
                .limit(e)
                .map(|(at, _)| at.saturating_duration_since(now)),
        };
        let mut all: Vec<_> = self.entries.iter().map(shown).collect();
        all.sort_by_key(|shown| shown.number);
        all
    }

    /// Goes by other limits from now on.
    pub fn configure(&mut self, config: Config, retention: Duration) {
        (self.config, self.retention) = (config, retention);
    }

    /// The one that accepts.
    pub fn serving(&self) -> Option<u64> {
        self.numbers(|phase| phase == Phase::Serving).next()
    }

    /// Whether one is starting.
    pub fn is_starting(&self) -> bool {
        self.numbers(|phase| phase == Phase::Starting)
            .next()
            .is_some()
    }

    /// Whether this one is starting.
    pub fn is_starting_as(&self, number: u64) -> bool {
        self.numbers(|phase| phase == Phase::Starting)
            .any(|n| n == number)
    }

    /// Whether this one was told to stop.
    pub fn is_ending(&self, number: u64) -> bool {
        self.numbers(|phase| phase == Phase::Ending)
            .any(|n| n == number)
    }

    /// All numbers, the newest first.
    pub fn all(&self) -> Vec<u64> {
        let mut all: Vec<_> = self.entries.iter().map(|e| e.number).collect();
        all.sort_by_key(|number| std::cmp::Reverse(*number));
        all
    }

    /// Whom a generation asks for what it has not, the newest first.
    pub fn others_of(&self, number: u64) -> Vec<u64> {
        let asked = |e: &&Entry| {
            let has_streams = matches!(e.phase, Phase::Serving | Phase::Retired | Phase::Leaving);
            e.number != number && has_streams
        };
        let mut others: Vec<_> = self
            .entries
            .iter()
            .filter(asked)
            .map(|e| e.number)
            .collect();
        others.sort_by_key(|number| std::cmp::Reverse(*number));
        others
    }

    /// All were told to stop, and all have.
    pub fn is_over(&self) -> bool {
        self.stopping && self.entries.is_empty()
    }

    /// When [`tick`](Self::tick) has something to do, if nothing happens before.
    pub fn wakes_at(&self) -> Option<Instant> {
        let limits = self.entries.iter().map(|e| {
            let silent = add(e.heard, self.config.silence);
            self.limit(e).map_or(silent, |(at, _)| at.min(silent))
        });
        limits.chain(self.due).min()
    }

    /// A new generation shall take over.
    pub fn hand_over(&mut self, now: Instant) -> Vec<Do> {
        if self.stopping {
            return Vec::new();
        }
        if self.is_starting() {
            self.wanted = true;
            return Vec::new();
        }
        self.start(now)
    }

    fn start(&mut self, now: Instant) -> Vec<Do> {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.due = None;
        self.wanted = false;
        self.entries.push(Entry {
            number,
            phase: Phase::Starting,
            since: now,
            heard: now,
        });
        vec![Do::Start(number)]
    }

    /// A generation said how it is.
    pub fn heard(&mut self, number: u64, ready: bool, idle: bool, now: Instant) -> Vec<Do> {
        let Some(entry) = self.entries.iter_mut().find(|e| e.number == number) else {
            return Vec::new();
        };
        entry.heard = now;
        match entry.phase {
            Phase::Starting if ready => {
                enter(entry, Phase::Serving, now);
                self.took_over(number, now)
            }
            Phase::Retired | Phase::Leaving if idle => {
                enter(entry, Phase::Ending, now);
                vec![Do::Stop(number), Do::Introduce]
            }
            _ => Vec::new(),
        }
    }

    fn took_over(&mut self, number: u64, now: Instant) -> Vec<Do> {
        let mut orders = vec![Do::TookOver(number), Do::Introduce];
        for entry in &mut self.entries {
            if entry.phase == Phase::Serving && entry.number != number {
                enter(entry, Phase::Retired, now);
                orders.push(Do::Retire(entry.number));
            }
        }
        let mut retired: Vec<_> = self.numbers(|phase| phase == Phase::Retired).collect();
        retired.sort_unstable();
        let most = self.config.max_generations.saturating_sub(1);
        let beyond = retired.len().saturating_sub(most);
        for oldest in retired.into_iter().take(beyond) {
            orders.extend(self.leave(oldest, Why::TooMany, now));
        }
        if self.wanted {
            orders.extend(self.start(now));
        }
        orders
    }

    fn leave(&mut self, number: u64, why: Why, now: Instant) -> Option<Do> {
        let entry = self.entries.iter_mut().find(|e| e.number == number)?;
        enter(entry, Phase::Leaving, now);
        Some(Do::Leave(number, why))
    }

    /// A generation is no more, or could not be started. `dice`, from 0 to 1, spreads what many
    /// ingests do after one cause.
    pub fn ended(&mut self, number: u64, now: Instant, dice: f64) -> Vec<Do> {
        let Some(at) = self.entries.iter().position(|e| e.number == number) else {
            return Vec::new();
        };
        let gone = self.entries.swap_remove(at);
        let mut orders = vec![Do::Introduce];
        if self.stopping {
            return orders;
        }
        let replaced = self.serving().is_some() || self.is_starting();
        match gone.phase {
            Phase::Starting if replaced => {
                orders.push(Do::HandoverFailed(number));
                if self.wanted {
                    orders.extend(self.start(now));
                }
            }
            Phase::Starting | Phase::Serving if !replaced => {
                let backoff = Backoff::default();
                let lived = now.saturating_duration_since(gone.since);
                self.failures = backoff.failures_after(self.failures, lived);
                self.due = Some(add(now, backoff.delay(self.failures, dice)));
            }
            _ => {}
        }
        orders
    }

    /// All shall end.
    pub fn stop(&mut self, now: Instant) -> Vec<Do> {
        self.stopping = true;
        self.due = None;
        let running = self.entries.iter_mut().filter(|e| e.phase != Phase::Ending);
        running
            .map(|entry| {
                enter(entry, Phase::Ending, now);
                Do::Stop(entry.number)
            })
            .collect()
    }

    /// Time that the supervisor did not have: nobody was silent for so long, and who was to become
    /// ready, or to end, could not do so either.
    pub fn lost(&mut self, time: Duration) {
        for entry in &mut self.entries {
            entry.heard = add(entry.heard, time);
            if matches!(entry.phase, Phase::Starting | Phase::Ending) {
                entry.since = add(entry.since, time);
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Do> {
        let mut orders = Vec::new();
        for entry in self.entries.clone() {
            let number = entry.number;
            if now >= add(entry.heard, self.config.silence) {
                orders.push(Do::Kill(number, Why::Silent));
                self.killed(number, now);
                continue;
            }
            match self.limit(&entry) {
                Some((at, why)) if now >= at => match entry.phase {
                    Phase::Starting | Phase::Ending => {
                        orders.push(Do::Kill(number, why));
                        self.killed(number, now);
                    }
                    Phase::Retired => orders.extend(self.leave(number, why, now)),
                    Phase::Leaving | Phase::Serving => {
                        if let Some(entry) = self.entries.iter_mut().find(|e| e.number == number) {
                            enter(entry, Phase::Ending, now);
                        }
                        orders.extend([Do::Stop(number), Do::Introduce]);
                    }
                },
                _ => {}
            }
        }
        if self.due.is_some_and(|due| now >= due) {
            orders.extend(self.start(now));
        }
        orders
    }

    /// It is not killed again before it was time to die.
    fn killed(&mut self, number: u64, now: Instant) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.number == number) {
            (entry.heard, entry.since) = (now, now);
        }
    }

    /// When its phase has lasted too long, and what that is.
    fn limit(&self, entry: &Entry) -> Option<(Instant, Why)> {
        let (length, why) = match entry.phase {
            Phase::Starting => (self.config.start_limit, Why::Late),
            Phase::Serving => return None,
            Phase::Retired => (self.config.generation_limit, Why::Old),
            Phase::Leaving => (self.retention + self.config.stop_grace, Why::Old),
            Phase::Ending => (self.config.stop_grace, Why::Stubborn),
        };
        Some((add(entry.since, length), why))
    }

    fn numbers(&self, phase: impl Fn(Phase) -> bool) -> impl Iterator<Item = u64> {
        let entries = self.entries.iter();
        entries.filter(move |e| phase(e.phase)).map(|e| e.number)
    }
}

fn enter(entry: &mut Entry, phase: Phase, now: Instant) {
    (entry.phase, entry.since) = (phase, now);
}

fn add(at: Instant, length: Duration) -> Instant {
    at.checked_add(length).unwrap_or(at)
}
