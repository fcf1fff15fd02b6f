//! Peak-EWMA with an allowance for noise: quick to believe bad news, slow to believe good.
//!
//! The peak-EWMA of Finagle and linkerd jumps to every sample above it. Service times are
//! noisy, so that makes every node look as slow as its worst recent segment, and the ranking
//! of equal nodes a lottery. Here a sample within the noise of the fleet (the *band*) moves a
//! plain average, and only what lies beyond becomes a peak. The peak fades with time, and
//! faster with every ordinary sample that contradicts it. Without samples the owner lets the
//! estimate drift to a prior: a node that is avoided is never measured, and must not be
//! condemned for ever by its last bad day.

use super::clock::fade;

/// The least weight of one sample in the average: some twenty make a new one, however many
/// come in a burst.
const LEAST_GAIN: f64 = 0.05;
/// What one ordinary sample leaves of a peak.
const CONTRADICTED: f64 = 0.7;

/// A peak-sensitive average of unevenly spaced samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    mean: f64,
    /// How far above the mean the peak was at `at`.
    excess: f64,
    at: f64,
}

impl Estimate {
    /// Starts from the first sample.
    pub(super) fn new(sample: f64, t: f64) -> Self {
        Self {
            mean: sample,
            excess: 0.0,
            at: t,
        }
    }

    /// Takes a sample in. `band` is the ratio to the average that noise explains; `decay` is
    /// the time constant in seconds.
    pub(super) fn observe(&mut self, sample: f64, t: f64, band: f64, decay: f64) {
        let kept = fade((t - self.at) / decay);
        let mut peak = self.mean + self.excess * kept;
        if sample > self.mean * band {
            peak = peak.max(sample);
        } else {
            peak = self.mean + (peak - self.mean) * CONTRADICTED;
        }
        self.mean += (sample - self.mean) * (1.0 - kept).max(LEAST_GAIN);
        self.excess = (peak - self.mean).max(0.0);
        self.at = t;
    }

    /// It was at least so much: the end was not waited for.
    pub(super) fn at_least(&mut self, bound: f64, t: f64, decay: f64) {
        if bound > self.value(t, decay) {
            self.observe(bound, t, 1.0, decay);
        }
    }

    /// The estimate now.
    pub(super) fn value(&self, t: f64, decay: f64) -> f64 {
        if self.excess > 0.0 {
            self.mean + self.excess * fade((t - self.at) / decay)
        } else {
            self.mean
        }
    }

    /// When the last sample came.
    pub(super) fn at(&self) -> f64 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: f64 = 10.0;

    #[test]
    fn worse_than_noise_is_believed_at_once_and_fades() {
        let mut e = Estimate::new(1.0, 0.0);
        e.observe(4.0, 0.0, 1.5, DECAY);
        assert!((e.value(0.0, DECAY) - 4.0).abs() < 1e-12);
        let after = e.value(DECAY, DECAY);
        assert!(after > 2.0 && after < 2.6, "{after}");
        assert!(e.value(1e9, DECAY) < 1.2);
    }

    #[test]
    fn noise_moves_the_average_only() {
        let mut e = Estimate::new(1.0, 0.0);
        for i in 0..200u32 {
            let noise = if i % 2 == 0 { 1.2 } else { 0.8 };
            e.observe(noise, f64::from(i) * 0.1, 1.5, DECAY);
            assert!((e.value(f64::from(i) * 0.1, DECAY) - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn ordinary_samples_contradict_a_peak_faster_than_time_does() {
        let mut e = Estimate::new(1.0, 0.0);
        e.observe(5.0, 0.0, 1.5, DECAY);
        for _ in 0..10 {
            e.observe(1.0, 0.0, 1.5, DECAY);
        }
        assert!(e.value(0.0, DECAY) < 1.3);
    }

    #[test]
    fn a_bound_never_lowers_the_estimate() {
        let mut e = Estimate::new(2.0, 0.0);
        e.at_least(1.0, 0.0, DECAY);
        assert_eq!(e.value(0.0, DECAY), 2.0);
        e.at_least(3.0, 0.0, DECAY);
        assert!((e.value(0.0, DECAY) - 3.0).abs() < 1e-12);
    }
}
