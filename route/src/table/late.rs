//! When a job is late: what chance explains follows from how far results differ from what was
//! predicted, over all nodes, as the retransmission time-out of TCP follows from round trips (RFC
//! 6298: some mean deviations above the mean).

use std::time::Duration;

use serde::Deserialize;

/// When a job, and with it its node, is late: `[route.late]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Mean deviations above the mean beyond which a job takes longer than most: of normal noise,
    /// one in 25 is beyond the default. Reason enough to send the next one elsewhere.
    pub suspect: f64,
    /// Beyond which chance does not explain it: one in 400.
    pub certain: f64,
    /// A job is never late by less than this.
    #[serde(with = "humantime_serde")]
    pub least: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            suspect: 2.2,
            certain: 3.5,
            least: Duration::from_millis(30),
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.suspect > 0.0 && self.suspect <= self.certain && self.certain <= 20.0) {
            return Err(
                "suspect must be above 0 and not above certain, which is at most 20".to_owned(),
            );
        }
        if self.least > Duration::from_secs(1) {
            return Err("least must be at most 1s".to_owned());
        }
        Ok(())
    }
}

/// How far results differ from what was predicted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surprise {
    /// Mean and mean deviation of the logarithm of measured over predicted.
    mean: f64,
    deviation: f64,
    config: Config,
    due: f64,
    suspect: f64,
    late: f64,
    band: f64,
}

/// Mean deviations above the mean that a job takes half of the time, and beyond which a sample is
/// more than noise: one in 120.
const DUE: f64 = 0.0;
const NOISE: f64 = 3.0;
/// Samples that make a new average.
const MEMORY: f64 = 64.0;

impl Surprise {
    pub(super) fn new(config: Config) -> Self {
        let mut s = Self {
            mean: 0.0,
            deviation: 0.17,
            config,
            due: 0.0,
            suspect: 0.0,
            late: 0.0,
            band: 0.0,
        };
        s.derive();
        s
    }

    /// Goes by other constants from now on.
    pub(super) fn reconfigure(&mut self, config: Config) {
        self.config = config;
        self.derive();
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
        self.suspect = beyond(self.config.suspect).clamp(1.1, 3.0);
        self.late = beyond(self.config.certain).clamp(1.25, 4.0);
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

    #[test]
    fn late_follows_the_noise_that_was_seen() {
        let mut s = Surprise::new(Config::default());
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
