//! How long to wait before something that failed is tried again. Pure.

use std::time::Duration;

/// Doubling delays with jitter over their upper half.
///
/// The caller counts failures in a row, and [`Backoff::delay`] says how long to wait. What runs
/// for a while before it fails, such as a child or a connection, is counted by
/// [`Backoff::failures_after`], which forgives after a steady run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// The delay never grows beyond this.
    pub max: Duration,
    /// What ran this long is taken to have worked: its failures are forgotten.
    pub steady: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(10),
            steady: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// For questions, which succeed or fail at once: no run of theirs is steady.
    #[must_use]
    pub const fn between(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            steady: Duration::MAX,
        }
    }

    /// The count of failures in a row once something has ended after running for `ran`.
    #[must_use]
    pub fn failures_after(&self, failures: u32, ran: Duration) -> u32 {
        if ran >= self.steady {
            1
        } else {
            failures.saturating_add(1)
        }
    }

    /// The delay after `failures` failures in a row; nothing while there is none.
    ///
    /// `jitter` is a random number from 0 to 1: it takes away up to half of the delay, so that
    /// what failed together does not come back together.
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(factor).min(self.max);
        full - full.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        let backoff = Backoff {
            first: ms(100),
            max: ms(1000),
            steady: ms(5000),
        };
        let delays: Vec<_> = (0..=6).map(|n| backoff.delay(n, 0.0)).collect();
        assert_eq!(
            delays,
            [
                ms(0),
                ms(100),
                ms(200),
                ms(400),
                ms(800),
                ms(1000),
                ms(1000)
            ]
        );
        assert_eq!(backoff.delay(u32::MAX, 0.0), ms(1000));
    }

    #[test]
    fn a_question_has_no_steady_run() {
        let backoff = Backoff::between(ms(250), ms(30_000));
        assert_eq!(backoff.failures_after(7, ms(u64::MAX)), 8);
        let delays: Vec<_> = (1..=9).map(|n| backoff.delay(n, 0.0).as_millis()).collect();
        assert_eq!(
            delays,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, 1.0), ms(50));
        assert_eq!(backoff.delay(1, 0.5), ms(75));
        assert_eq!(backoff.delay(1, f64::INFINITY), ms(50));
    }

    #[test]
    fn a_steady_run_is_forgiven() {
        let backoff = Backoff {
            first: ms(1),
            max: ms(9),
            steady: ms(5000),
        };
        assert_eq!(backoff.failures_after(7, ms(4999)), 8);
        assert_eq!(backoff.failures_after(7, ms(5000)), 1);
    }
}
