//! A stream that keeps failing loses its transcoding for a while, never its source.
//!
//! Each segment of such a stream costs several nodes an attempt, and may cost them a worker.
//! Poison segments in a row open the circuit; so do, more slowly, segments at which every
//! attempt failed while the rest of the fleet's work came out well. While it is open nothing of
//! the stream is sent. Then one segment is a trial: it closes the circuit, or opens it again
//! for twice as long. The time is jittered, so that streams that failed together do not come
//! back together.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use serde::Deserialize;

use crate::bounds;

/// When a circuit opens, and for how long: `[dispatch.circuit]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Poison segments in a row that open it; segments at which every attempt failed count
    /// half. 0: never.
    pub failures: u32,
    /// How long it stays open the first time.
    #[serde(with = "humantime_serde")]
    pub base: Duration,
    /// How long it stays open at most; it doubles with every failed trial.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Share of the fleet's other segments that must come out well for a failure to be
    /// counted as the stream's own.
    pub fleet_good: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures: 3,
            base: Duration::from_secs(10),
            max: Duration::from_secs(300),
            fleet_good: 0.9,
        }
    }
}

impl Config {
    /// Refuses times and shares that make no sense.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.base.is_zero() || self.max < self.base {
            return Err("base must be above 0 s and not above max".to_owned());
        }
        if !(0.0..=1.0).contains(&self.fleet_good) {
            return Err("fleet_good must be between 0 and 1".to_owned());
        }
        bounds::times([("max", self.max)])
    }
}

/// What a segment's end says of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something of it was transcoded.
    Good,
    /// Nodes agree that it cannot be.
    Poison,
    /// Nothing came, though nodes tried.
    Failed,
    /// It says nothing of the stream.
    Unknown,
}

/// What a verdict did to the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Opened(Duration),
    Closed,
}

/// Whether a stream may be transcoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Shut { left: Duration },
}

/// One stream's circuit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circuit {
    /// In halves of a failure.
    failures: u32,
    broken: Option<Broken>,
}

#[derive(Debug, Clone, Copy)]
struct Broken {
    until: Instant,
    times: u32,
    /// When the trial segment was let through.
    trial: Option<Instant>,
}

impl Circuit {
    /// Whether the next segment may be sent. The first one after the time is up is the trial;
    /// should nothing be heard of it, another one follows after `patience`.
    pub(crate) fn gate(&mut self, patience: Duration, now: Instant) -> Gate {
        let Some(broken) = &mut self.broken else {
            return Gate::Open;
        };
        let until = match broken.trial {
            Some(trial) => trial + patience,
            None => broken.until,
        };
        if now < until {
            return Gate::Shut { left: until - now };
        }
        broken.trial = Some(now);
        Gate::Open
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// A segment that began at `begun` came to its end.
    pub(crate) fn end(
        &mut self,
        verdict: Verdict,
        begun: Instant,
        config: &Config,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Turn> {
        let weight = match verdict {
            Verdict::Good => {
                self.failures = 0;
                // Only the trial closes it: what began before it opened proves nothing new.
                let trial = self.broken.and_then(|b| b.trial);
                return trial.filter(|trial| begun >= *trial).map(|_| {
                    self.broken = None;
                    Turn::Closed
                });
            }
            Verdict::Unknown => return None,
            Verdict::Poison => 2,
            Verdict::Failed => 1,
        };
        if config.failures == 0 {
            return None;
        }
        let times = match self.broken {
            Some(Broken {
                trial: Some(trial),
                times,
                ..
            }) if begun >= trial => times.saturating_add(1),
            Some(_) => return None,
            None => {
                self.failures = self.failures.saturating_add(weight);
                if self.failures < config.failures.saturating_mul(2) {
                    return None;
                }
                0
            }
        };
        self.failures = 0;
        let doubled = config
            .base
            .saturating_mul(1 << times.min(20))
            .min(config.max);
        let length = doubled.mul_f64(rng.random_range(0.75..1.25));
        self.broken = Some(Broken {
            until: now + length,
            times,
            trial: None,
        });
        Some(Turn::Opened(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    const PATIENCE: Duration = Duration::from_secs(5);

    struct Stream {
        circuit: Circuit,
        config: Config,
        rng: SmallRng,
    }

    impl Stream {
        fn new() -> Self {
            Self {
                circuit: Circuit::default(),
                config: Config::default(),
                rng: SmallRng::seed_from_u64(7),
            }
        }

        fn segment(&mut self, verdict: Verdict, now: Instant) -> Option<Turn> {
            self.circuit
                .end(verdict, now, &self.config, now, &mut self.rng)
        }

        fn open(&mut self, now: Instant) -> Duration {
            for _ in 0..2 {
                assert_eq!(self.segment(Verdict::Poison, now), None);
            }
            match self.segment(Verdict::Poison, now) {
                Some(Turn::Opened(length)) => length,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn poison_in_a_row_opens_it_and_one_good_segment_starts_anew() {
        let now = Instant::now();
        let mut s = Stream::new();
        for verdict in [
            Verdict::Poison,
            Verdict::Poison,
            Verdict::Good,
            Verdict::Unknown,
        ] {
            assert_eq!(s.segment(verdict, now), None);
        }
        let length = s.open(now).as_secs_f64();
        assert!((7.5..12.5).contains(&length), "{length}");
        assert!(matches!(s.circuit.gate(PATIENCE, now), Gate::Shut { .. }));
    }

    #[test]
    fn failures_that_nobody_calls_poison_count_half() {
        let now = Instant::now();
        let mut s = Stream::new();
        for _ in 0..5 {
            assert_eq!(s.segment(Verdict::Failed, now), None);
        }
        assert!(matches!(
            s.segment(Verdict::Failed, now),
            Some(Turn::Opened(_))
        ));
    }

    #[test]
    fn one_trial_at_a_time_and_it_decides() {
        let t0 = Instant::now();
        let mut s = Stream::new();
        let after = t0 + s.open(t0);
        assert_eq!(s.circuit.gate(PATIENCE, after), Gate::Open);
        assert_eq!(
            s.circuit.gate(PATIENCE, after),
            Gate::Shut { left: PATIENCE }
        );
        // A segment of the time before says nothing.
        let config = s.config;
        assert_eq!(
            s.circuit.end(Verdict::Good, t0, &config, after, &mut s.rng),
            None
        );
        assert_eq!(s.segment(Verdict::Good, after), Some(Turn::Closed));
        assert_eq!(s.circuit.gate(PATIENCE, after), Gate::Open);
    }

    #[test]
    fn each_failed_trial_doubles_the_time_up_to_the_most() {
        let mut now = Instant::now();
        let mut s = Stream::new();
        let mut length = s.open(now);
        for expected in [20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
            now += length;
            assert_eq!(s.circuit.gate(PATIENCE, now), Gate::Open);
            length = match s.segment(Verdict::Failed, now) {
                Some(Turn::Opened(length)) => length,
                other => panic!("{other:?}"),
            };
            let ratio = length.as_secs_f64() / expected;
            assert!((0.75..1.25).contains(&ratio), "{length:?} for {expected}");
        }
    }

    #[test]
    fn a_trial_that_is_never_heard_of_does_not_shut_a_stream_out() {
        let t0 = Instant::now();
        let mut s = Stream::new();
        let after = t0 + s.open(t0);
        assert_eq!(s.circuit.gate(PATIENCE, after), Gate::Open);
        assert_eq!(s.circuit.gate(PATIENCE, after + PATIENCE), Gate::Open);
    }
}
