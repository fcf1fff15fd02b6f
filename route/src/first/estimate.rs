//! Peak-EWMA: quick to believe bad news, slow to believe good.
//!
//! A sample above the estimate replaces it, so that a node that slows down is left after one
//! segment. A sample below pulls it down with a time constant, so that one lucky result does
//! not bring the crowd back. Without samples the estimate drifts to a prior: a node that is
//! avoided is never measured, and must not be condemned for ever by its last bad day.

use std::time::{Duration, Instant};

/// A peak-sensitive, exponentially weighted moving average over unevenly spaced samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakEwma {
    value: f64,
    at: Instant,
}

impl PeakEwma {
    /// Starts from the first sample.
    pub fn new(sample: f64, now: Instant) -> Self {
        Self {
            value: sample,
            at: now,
        }
    }

    /// Takes a sample in; better ones pull with the time constant `decay`.
    pub fn observe(&mut self, sample: f64, now: Instant, decay: Duration) {
        if sample >= self.value {
            self.value = sample;
        } else {
            let keep = fade(now.saturating_duration_since(self.at), decay);
            self.value = sample + (self.value - sample) * keep;
        }
        self.at = now;
    }

    /// The estimate now, after drifting towards `prior` with the time constant `forget`.
    pub fn value(&self, prior: f64, now: Instant, forget: Duration) -> f64 {
        prior + (self.value - prior) * fade(now.saturating_duration_since(self.at), forget)
    }
}

/// What is left of 1 after `elapsed` with the time constant `constant`.
pub(crate) fn fade(elapsed: Duration, constant: Duration) -> f64 {
    (-elapsed.as_secs_f64() / constant.as_secs_f64().max(f64::MIN_POSITIVE)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    #[test]
    fn worse_is_believed_at_once_and_better_by_and_by() {
        let t0 = Instant::now();
        let mut e = PeakEwma::new(1.0, t0);
        e.observe(4.0, t0, DECAY);
        assert_eq!(e.value(0.0, t0, DECAY), 4.0);
        e.observe(1.0, t0 + DECAY, DECAY);
        let expected = 1.0 + 3.0 * (-1.0f64).exp();
        assert!((e.value(0.0, t0 + DECAY, DECAY) - expected).abs() < 1e-12);
    }

    #[test]
    fn many_samples_in_a_burst_weigh_no_more_than_the_time_they_span() {
        let t0 = Instant::now();
        let mut e = PeakEwma::new(4.0, t0);
        for _ in 0..1000 {
            e.observe(1.0, t0, DECAY);
        }
        assert_eq!(e.value(0.0, t0, DECAY), 4.0);
    }

    #[test]
    fn without_samples_it_drifts_to_the_prior() {
        let t0 = Instant::now();
        let e = PeakEwma::new(9.0, t0);
        assert_eq!(e.value(1.0, t0, DECAY), 9.0);
        assert!((e.value(1.0, t0 + 20 * DECAY, DECAY) - 1.0).abs() < 1e-6);
    }
}
