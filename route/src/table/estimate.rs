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

/// How far results differ from what was predicted, over all nodes: what is late, and what is
/// only noise, follows from it as the retransmission time-out of TCP does from round trips
/// (RFC 6298: some mean deviations above the mean).
#[derive(Debug, Clone, Copy)]
pub(super) struct Surprise {
    /// Mean and mean deviation of the logarithm of measured over predicted.
    mean: f64,
    deviation: f64,
    due: f64,
    suspect: f64,
    late: f64,
    band: f64,
}

/// Mean deviations above the mean. Of normal noise, half of the jobs are beyond the first, one in
/// 25 beyond the second, one in 400 beyond the third, and one in 120 beyond the last.
const DUE: f64 = 0.0;
const SUSPECT: f64 = 2.2;
const LATE: f64 = 3.5;
const NOISE: f64 = 3.0;
/// Samples that make a new average.
const MEMORY: f64 = 64.0;

impl Surprise {
    pub(super) fn new() -> Self {
        let mut s = Self {
            mean: 0.0,
            deviation: 0.17,
            due: 0.0,
            suspect: 0.0,
            late: 0.0,
            band: 0.0,
        };
        s.derive();
        s
    }

    /// A job took `ratio` times what was predicted.
    pub(super) fn observe(&mut self, ratio: f64) {
        if !ratio.is_finite() {
            return;
        }
        let off = ratio.clamp(0.25, 4.0).ln() - self.mean;
        self.mean += off / MEMORY;
        self.deviation += (off.abs() - self.deviation) / MEMORY;
        self.derive();
    }

    fn derive(&mut self) {
        let beyond = |deviations: f64| (self.mean + deviations * self.deviation).exp();
        self.due = beyond(DUE).clamp(0.7, 2.0);
        self.suspect = beyond(SUSPECT).clamp(1.1, 3.0);
        self.late = beyond(LATE).clamp(1.25, 4.0);
        self.band = beyond(NOISE).clamp(1.15, 3.0);
    }

    /// Ratio to the prediction beyond which half of the jobs are still out: no reason for
    /// anything, and yet evidence beside another.
    pub(super) fn due(&self) -> f64 {
        self.due
    }

    /// Ratio to the prediction beyond which few jobs are still out: reason enough to send the
    /// next one elsewhere, where that costs nothing.
    pub(super) fn suspect(&self) -> f64 {
        self.suspect
    }

    /// Ratio to the prediction beyond which a job is late: chance does not explain it.
    pub(super) fn late(&self) -> f64 {
        self.late
    }

    /// Ratio to the average beyond which a sample is more than noise.
    pub(super) fn band(&self) -> f64 {
        self.band
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

    #[test]
    fn late_follows_the_noise_that_was_seen() {
        let mut s = Surprise::new();
        assert!((1.7..2.0).contains(&s.late()));
        for _ in 0..1000 {
            s.observe(1.0);
        }
        assert_eq!(
            (s.suspect(), s.late()),
            (1.1, 1.25),
            "no noise, no patience"
        );
        for i in 0..1000u32 {
            s.observe(if i % 2 == 0 { 1.5 } else { 0.67 });
        }
        assert!(s.suspect() > 2.0 && s.suspect() < s.band());
        assert!(s.late() > 3.0 && s.band() < s.late());
        s.observe(f64::NAN);
        assert!(s.late().is_finite());
    }
}
