//! How long to wait before a child is started again. Pure.

use std::time::Duration;

/// Doubling delays between restarts, with jitter, forgiven after a steady run.
///
/// The caller counts failures: [`Backoff::failures_after`] says how the count goes on when a
/// child ends, [`Backoff::delay`] how long to wait then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// The delay never grows beyond this.
    pub max: Duration,
    /// A child that ran this long is taken to have worked: its failures are forgotten.
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
    /// The count of failures in a row once a child has ended after running for `ran`.
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
    /// many children that died together do not come back together.
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
