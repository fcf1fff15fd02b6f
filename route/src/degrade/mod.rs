//! What to leave out when the fleet cannot carry all.
//!
//! An overloaded fleet that is asked for everything delivers everything late. So renditions
//! are left out before they are asked for, in an order: fewer rungs (from the top, or as
//! configured), the lowest rung only when no stream has any other left, then the source alone.
//! That is after the table has spread the work over all zones.
//!
//! **What makes it act.** Trouble is seen, not guessed: segments that are refused, wait for a
//! node, or are late. Only trouble at a high utilisation is overload; trouble of a fleet with
//! room is some node's failure. Then the level is raised at once to where the demand of all
//! streams fits what the nodes are measured to make. If there is still trouble once that has
//! settled, less is believed of them.
//!
//! **How it recovers.** After a time without trouble, rungs are taken back step by step while
//! the utilisation that they would bring is predicted to stay well under what was aimed at
//! before. The gap between the two is why it does not swing. A step back that brings trouble
//! doubles the time before the next one.
//!
//! Levels are finer than a rung: streams fall into groups by a hash, and a fraction of a level
//! is a share of the streams.

mod config;
mod ladder;
mod level;

use std::time::{Duration, Instant};

pub use config::Config;
pub(crate) use ladder::{drops, left};
pub(crate) use level::Group;
pub use level::Level;

use crate::table::Capacity;

#[cfg(test)]
mod tests;

/// More than this part of the demand is the same demand: what is believed of the fleet is noisy.
const SAME: f64 = 0.95;
/// What is left of the trouble that it takes, once there is a level.
const KNOWN: f64 = 0.25;
/// The least and the most that is left of the demand after a level proved too low.
const LEFT: (f64, f64) = (0.75, 0.9);
/// Weight of the last interval in what is seen of the fleet.
const SMOOTH: f64 = 0.25;
/// A change by more than this part is none of the noise.
const LEAP: f64 = 0.2;
/// So many segments tell a share; where they are few, all of so long a time do.
const ENOUGH: u32 = 8;
const LONG_ENOUGH: Duration = Duration::from_secs(4);
/// One segment in trouble is chance, unless it is all there was.
const NO_CHANCE: u32 = 2;
/// The lowest rung is little work: leaving it out helps where this part of the segments are in trouble
/// although nothing else is asked for. Less than that may be others' doing.
const HOPELESS: f64 = 0.33;

/// Why not every rendition of a ladder is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The fleet cannot carry more.
    Overload {
        /// How much is left out, in thousandths of a rung: at 2500 two rungs of every ladder,
        /// and of half of them a third one.
        level: u32,
    },
    /// The stream's segments kept failing: it is not transcoded for a while.
    Circuit {
        /// Time left.
        left: Duration,
    },
}

impl Reduction {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overload { .. } => "degraded",
            Self::Circuit { .. } => "circuit",
        }
    }
}

/// A change of the level, for the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// What it was.
    pub from: Level,
    /// What it is.
    pub to: Level,
    /// Share of the segments that were in trouble.
    pub trouble: f64,
    /// Predicted utilisation at the level that it was: demand over what the fleet is believed
    /// to make.
    pub utilisation: f64,
}

/// What the last decision went by, as shares.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Of the segments, those that were in trouble.
    pub trouble: f64,
    /// What is asked for of what the nodes are believed to make.
    pub utilisation: f64,
    /// Of the slots, those that are taken, smoothed.
    pub busy: f64,
    /// Of what the nodes are measured to make, what is believed.
    pub believed: f64,
}

/// What happened since it was last decided.
#[derive(Debug, Clone, Copy, Default)]
struct Signals {
    begun: u32,
    troubled: u32,
}

/// What a decision goes by.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// What is asked for now, in output pixels a second.
    asked: f64,
    /// What the fleet is believed to make.
    believed: f64,
    /// Share of the segments that are in trouble.
    trouble: f64,
    /// The highest level to go to.
    most: Level,
}

/// Decides the level.
#[derive(Debug)]
pub(crate) struct Degrade {
    level: Level,
    /// The most rungs above the lowest that any stream has.
    deepest: u32,
    signals: Signals,
    signals_since: Instant,
    decided: Instant,
    /// Share of the capacity that is believed.
    trust: f64,
    /// Share of the slots that are taken, smoothed.
    busy: f64,
    /// Output pixels a second that the fleet is measured to make, smoothed.
    rate: f64,
    next: Instant,
    settled: Instant,
    calm_since: Option<Instant>,
    /// The last change was a step back; how long rungs stay out grows if it brings trouble.
    stepped_back: Option<Instant>,
    caution: u32,
    pressure: Pressure,
}

impl Degrade {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            level: Level::NONE,
            deepest: 0,
            signals: Signals::default(),
            signals_since: now,
            decided: now,
            trust: 1.0,
            busy: 0.0,
            rate: 0.0,
            next: now,
            settled: now,
            calm_since: None,
            stepped_back: None,
            caution: 1,
            pressure: Pressure {
                believed: 1.0,
                ..Pressure::default()
            },
        }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn pressure(&self) -> Pressure {
        self.pressure
    }

    /// A segment begins.
    pub(crate) fn begun(&mut self) {
        self.signals.begun = self.signals.begun.saturating_add(1);
    }

    /// A segment is in trouble that overload can explain; told once for each.
    pub(crate) fn troubled(&mut self) {
        self.signals.troubled = self.signals.troubled.saturating_add(1);
    }

    /// Whether it is time to decide.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Decides, if anything is known. `demand` is what all streams would ask for at a level, in
    /// output pixels a second; it falls as the level rises up to `deepest` + 1 rungs.
    pub(crate) fn decide(
        &mut self,
        capacity: Capacity,
        deepest: u32,
        demand: impl Fn(Level) -> f64,
        config: &Config,
        now: Instant,
    ) -> Option<Shift> {
        self.next = now + config.interval;
        let from = self.level;
        self.rebase(deepest);
        self.look(capacity, config, now);
        if !config.enabled {
            // What was left out is asked for again at once: so it is wanted.
            (self.level, self.trust, self.caution) = (Level::NONE, 1.0, 1);
        } else if let Some(signals) = self.take_signals(now)
            && capacity.slots > 0
        {
            self.weigh(signals, capacity, &demand, config, now);
        }
        (self.level != from).then_some(Shift {
            from,
            to: self.level,
            trouble: self.pressure.trouble,
            utilisation: self.pressure.utilisation,
        })
    }

    /// The lowest rungs are left out beyond those above them: where these become fewer or more, as many
    /// streams as before are without the lowest.
    fn rebase(&mut self, deepest: u32) {
        let (before, floor) = (Level::rungs(self.deepest), Level::rungs(deepest));
        self.deepest = deepest;
        self.level = match self.level.beyond(before) {
            Level::NONE => self.level.min(floor),
            lowest => floor.and(lowest),
        };
    }

    /// How busy the fleet is, however few segments there are to decide at: what was not looked at for
    /// several intervals weighs as many.
    fn look(&mut self, capacity: Capacity, config: &Config, now: Instant) {
        let time = now.saturating_duration_since(self.decided).as_secs_f64();
        self.decided = now;
        if capacity.slots == 0 {
            return;
        }
        let intervals = (time / config.interval.as_secs_f64()).round().max(1.0);
        let weight = 1.0 - (1.0 - SMOOTH).powf(intervals);
        let free = f64::from(capacity.free) / f64::from(capacity.slots);
        self.busy += (1.0 - free.clamp(0.0, 1.0) - self.busy) * weight;
    }

    /// What happened since it was last taken, once that says anything.
    fn take_signals(&mut self, now: Instant) -> Option<Signals> {
        let long = now.saturating_duration_since(self.signals_since) >= LONG_ENOUGH;
        if self.signals.begun < ENOUGH && !long {
            return None;
        }
        self.signals_since = now;
        let signals = std::mem::take(&mut self.signals);
        (signals.begun > 0).then_some(signals)
    }

    fn weigh(
        &mut self,
        signals: Signals,
        capacity: Capacity,
        demand: &impl Fn(Level) -> f64,
        config: &Config,
        now: Instant,
    ) {
        let trouble = f64::from(signals.troubled) / f64::from(signals.begun);
        let floor = Level::rungs(self.deepest);
        let seen = Seen {
            asked: demand(self.level),
            believed: (self.smooth(capacity.pixel_rate) * self.trust).max(1.0),
            trouble,
            most: match self.level >= floor && trouble >= HOPELESS {
                true => Level::rungs(self.deepest.saturating_add(1)),
                false => floor.max(self.level),
            },
        };
        let utilisation = seen.asked / seen.believed;
        self.pressure = Pressure {
            trouble,
            utilisation,
            busy: self.busy,
            believed: self.trust,
        };
        let from = self.level;
        // An overload that is known is not met until hardly any trouble is left.
        let known = if from > Level::NONE { KNOWN } else { 1.0 };
        let by_chance = signals.troubled < NO_CHANCE.min(signals.begun);
        if !by_chance && trouble >= config.trouble * known {
            self.calm_since = None;
            if utilisation.max(self.busy) < config.overloaded {
                return;
            }
            self.doubt_last_step(config, now);
            self.raise(&seen, demand, config, now);
            return;
        }
        let calm = *self.calm_since.get_or_insert(now);
        if now < self.settled || now.saturating_duration_since(calm) < self.patience(config) {
            return;
        }
        self.level = self.lower(&seen, demand, config);
        if self.level < from {
            self.settled = now + config.settle;
            self.stepped_back = Some(now);
        }
        if self.level == Level::NONE && from == Level::NONE {
            (self.trust, self.caution) = (1.0, 1);
        }
    }

    /// What the fleet is measured to make, without the noise; a leap is no noise.
    fn smooth(&mut self, rate: f64) -> f64 {
        let noise = (rate - self.rate).abs() <= self.rate * LEAP;
        self.rate += (rate - self.rate) * if noise { SMOOTH } else { 1.0 };
        self.rate
    }

    /// A step back that brings trouble makes the next one wait longer.
    fn doubt_last_step(&mut self, config: &Config, now: Instant) {
        let patience = self.patience(config).max(config.settle);
        let recent = |at: Instant| now.saturating_duration_since(at) < patience;
        let grows = self.patience(config) < config.calm_max;
        if self.stepped_back.take().is_some_and(recent) && grows {
            self.caution = self.caution.saturating_mul(2);
        }
    }

    /// How long there must have been no trouble before any is taken back.
    fn patience(&self, config: &Config) -> Duration {
        let patience = config.calm.saturating_mul(self.caution);
        patience.min(config.calm_max)
    }

    /// Raises the level to where the demand fits. If it should fit as it is, and that has had
    /// its time to show, the fleet makes less than is believed.
    fn raise(
        &mut self,
        seen: &Seen,
        demand: &impl Fn(Level) -> f64,
        config: &Config,
        now: Instant,
    ) {
        let aim = seen.believed * config.target;
        if self.level >= seen.most {
            return;
        }
        let fits = least(self.level, seen.most, |l| demand(l) <= aim);
        if demand(fits) > seen.asked * SAME {
            if now < self.settled {
                return;
            }
            // No more is believed than makes the new level the aim: else it would be taken back
            // as soon as there is calm.
            let (least_left, most_left) = LEFT;
            let keep = (1.0 - seen.trouble / 2.0).clamp(least_left, most_left);
            let wanted = seen.asked * keep;
            self.level = least(self.level, seen.most, |l| demand(l) <= wanted);
            let proven = (demand(self.level) / aim).min(1.0);
            self.trust = (self.trust * proven).max(config.least_believed);
        } else {
            self.level = fits;
        }
        self.settled = now + config.settle;
    }

    /// A level that brings some back and still leaves room.
    fn lower(&self, seen: &Seen, demand: &impl Fn(Level) -> f64, config: &Config) -> Level {
        let step = (config.step * 1000.0).round() as u32;
        let lowest = self.level.beyond(Level::milli(step.max(1)));
        least(lowest, self.level, |l| {
            let wanted = demand(l);
            let share = if seen.asked > 0.0 {
                wanted / seen.asked
            } else {
                1.0
            };
            wanted <= seen.believed * config.resume || self.busy * share <= config.idle
        })
    }
}

/// The least level from `from` to `to` that fits; `to` if none does. Whatever fits at a level
/// fits at every higher one.
fn least(from: Level, to: Level, fits: impl Fn(Level) -> bool) -> Level {
    let (mut low, mut high) = (from.as_milli(), to.as_milli().max(from.as_milli()));
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(Level::milli(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Level::milli(high)
}
