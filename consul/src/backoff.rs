//! How long to wait before asking again, as a function of the failures so far.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Bounds of an exponential backoff with full jitter over its upper half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// No delay is longer.
    pub most: Duration,
}

impl Backoff {
    /// Delay after `failures` failures in a row, before jitter: it doubles each time.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1_u32 << doublings).min(self.most)
    }

    /// The delay to sleep: between half of the ceiling and the ceiling, so that many clients
    /// of one agent that returns do not all ask at the same moment.
    pub fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let ceiling = self.ceiling(failures);
        ceiling.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(250),
        most: Duration::from_secs(30),
    };

    #[test]
    fn the_ceiling_doubles_up_to_the_bound() {
        let ceilings: Vec<u128> = (0..10).map(|n| BACKOFF.ceiling(n).as_millis()).collect();
        assert_eq!(
            ceilings,
            [
                250, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000
            ]
        );
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.most);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        let mut rng = StdRng::seed_from_u64(1);
        for failures in 0..100 {
            let ceiling = BACKOFF.ceiling(failures);
            let delay = BACKOFF.delay(failures, &mut rng);
            assert!(delay >= ceiling / 2 && delay <= ceiling);
        }
    }
}
