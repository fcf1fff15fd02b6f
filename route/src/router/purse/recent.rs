//! What refusals may cost: a share of what the last second brought.
//!
//! A refused submission costs a node next to nothing, so its cap needs not hold in every window
//! as that of [`Budget`](super::super::budget::Budget) does; and it must not: segments of unlike streams
//! may come in one burst, and when the node that a few of them go to begins to refuse, all of
//! those need another at that moment. What came together may be spent together.
//!
//! > grants in `(now - 1 s, now]` <= `per_segment` x segments in `(now - 1 s, now]` + `per_second`
//!
//! Over any time of `T` seconds that is at most `per_segment * N + per_second * (T + 1)`, with `N`
//! the segments of that time and of the second before it.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::budget::{Config, WINDOW};

/// Grants tokens within the cap.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    config: Config,
    segments: VecDeque<Instant>,
    grants: VecDeque<Instant>,
}

impl Recent {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            segments: VecDeque::new(),
            grants: VecDeque::new(),
        }
    }

    /// A segment came.
    pub(super) fn segment(&mut self, now: Instant) {
        self.forget(now);
        self.segments.push_back(now);
    }

    /// Takes one token, if the cap allows it.
    #[must_use]
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let taken = self.available(now) > 0;
        if taken {
            self.grants.push_back(now);
        }
        taken
    }

    /// Tokens that could be taken now, one after another.
    pub(super) fn available(&mut self, now: Instant) -> u32 {
        self.forget(now);
        let brought = self.config.per_segment * self.segments.len() as f64;
        // Three thirds are one, whatever the last bit says.
        let all = brought + self.config.per_second + 1e-9;
        (all as u32).saturating_sub(u32::try_from(self.grants.len()).unwrap_or(u32::MAX))
    }

    /// When time alone may bring the next token; now, if there is one. `None` if it brings none.
    pub(super) fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        if self.available(now) > 0 {
            return Some(now);
        }
        let oldest = self
            .grants
            .front()
            .filter(|_| self.config.per_second >= 1.0);
        oldest.map(|grant| *grant + WINDOW)
    }

    fn forget(&mut self, now: Instant) {
        for times in [&mut self.segments, &mut self.grants] {
            let old = times.partition_point(|at| now.saturating_duration_since(*at) >= WINDOW);
            times.drain(..old);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_a_burst_brings_may_be_spent_at_once_and_is_gone_after_a_second() {
        let t0 = Instant::now();
        let mut r = Recent::new(Config::refusals());
        for _ in 0..8 {
            r.segment(t0);
        }
        let spent = |r: &mut Recent, at| (0..20).filter(|_| r.take(at)).count();
        assert_eq!(spent(&mut r, t0 + ms(200)), 5);
        assert_eq!(r.ready_at(t0 + ms(300)), Some(t0 + ms(1200)));
        assert_eq!(spent(&mut r, t0 + ms(1199)), 0);
        assert_eq!(spent(&mut r, t0 + ms(1200)), 1, "time brings one a second");
    }

    #[test]
    fn a_storm_gets_its_share_in_any_second() {
        let t0 = Instant::now();
        let mut r = Recent::new(Config::refusals());
        let mut grants = Vec::new();
        for i in 0..5000_u64 {
            let now = t0 + ms(i);
            if i % 10 == 0 {
                r.segment(now);
            }
            if r.take(now) {
                grants.push(now);
            }
        }
        for end in &grants {
            let within = grants
                .iter()
                .filter(|at| **at <= *end && *end - **at < WINDOW);
            assert!(within.count() <= 51);
        }
        assert!(
            r.segments.len() <= 100 && r.grants.len() <= 51,
            "nothing is kept for longer"
        );
    }

    #[test]
    fn without_a_trickle_time_brings_nothing() {
        let t0 = Instant::now();
        let mut r = Recent::new(Config {
            per_segment: 0.5,
            per_second: 0.0,
        });
        assert!(!r.take(t0));
        assert_eq!(r.ready_at(t0), None);
    }
}
