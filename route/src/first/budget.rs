//! What all retries together may cost.
//!
//! Retries are what turns the failure of a few nodes, or one segment that no node can decode,
//! into an overload of all. Every segment puts a fraction of a token into the bucket and
//! every second a trickle; a retry takes a whole one or does not happen.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// How a [`Budget`] fills.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Tokens that each segment brings.
    pub per_segment: f64,
    /// Tokens that each second brings.
    pub per_second: f64,
    /// The most tokens that are kept; also what the bucket starts with.
    pub burst: f64,
}

impl Default for Config {
    /// Retries: 10 % of the segments and one a second.
    fn default() -> Self {
        Self {
            per_segment: 0.1,
            per_second: 1.0,
            burst: 20.0,
        }
    }
}

impl Config {
    /// Submissions that were refused before their body was read: they cost a node nearly
    /// nothing, so they have a wider cap of their own.
    pub fn refusals() -> Self {
        Self {
            per_segment: 0.5,
            per_second: 0.0,
            burst: 20.0,
        }
    }

    /// Refuses values that are not amounts.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let amounts = [self.per_segment, self.per_second, self.burst];
        if amounts.iter().all(|a| a.is_finite() && *a >= 0.0) {
            Ok(())
        } else {
            Err("per_segment, per_second and burst must be numbers of at least 0".to_owned())
        }
    }
}

/// A token bucket that segments and time fill.
#[derive(Debug, Clone)]
pub struct Budget {
    config: Config,
    tokens: f64,
    at: Instant,
}

impl Budget {
    /// A full bucket.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            tokens: config.burst,
            at: now,
        }
    }

    /// A segment begins: its share goes in.
    pub fn segment(&mut self, now: Instant) {
        self.fill(now);
        self.add(self.config.per_segment);
    }

    /// Takes one token, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        if elapsed > Duration::ZERO {
            self.at = now;
            self.add(elapsed.as_secs_f64() * self.config.per_second);
        }
    }

    fn add(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.config.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(per_segment: f64, per_second: f64, burst: f64) -> Config {
        Config {
            per_segment,
            per_second,
            burst,
        }
    }

    #[test]
    fn segments_and_seconds_fill_it() {
        let t0 = Instant::now();
        let mut b = Budget::new(config(0.5, 1.0, 2.0), t0);
        assert!(b.take(t0) && b.take(t0));
        assert!(!b.take(t0), "empty");
        b.segment(t0);
        assert!(!b.take(t0), "half a token is none");
        b.segment(t0);
        assert!(b.take(t0));
        assert!(!b.take(t0 + Duration::from_millis(999)));
        assert!(b.take(t0 + Duration::from_secs(1)));
    }

    #[test]
    fn a_quiet_hour_does_not_buy_a_storm() {
        let t0 = Instant::now();
        let mut b = Budget::new(config(0.1, 1.0, 3.0), t0);
        let later = t0 + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| b.take(later)).count(), 3);
    }

    proptest! {
        #[test]
        fn never_grants_more_than_it_was_given(
            steps in prop::collection::vec((0u64..500, 0u8..4, 0u8..8), 1..200),
        ) {
            let t0 = Instant::now();
            let mut b = Budget::new(config(0.1, 1.0, 5.0), t0);
            let (mut now, mut segments, mut granted) = (t0, 0u32, 0u32);
            for (ms, n, takes) in steps {
                now += Duration::from_millis(ms);
                for _ in 0..n {
                    b.segment(now);
                    segments += 1;
                }
                for _ in 0..takes {
                    granted += u32::from(b.take(now));
                }
                let allowed = 5.0 + 0.1 * f64::from(segments) + (now - t0).as_secs_f64();
                prop_assert!(f64::from(granted) <= allowed + 1e-6);
            }
        }
    }
}
