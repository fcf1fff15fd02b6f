//! When a job is late, by its first rendition or by its last: what chance explains follows from
//! how far results differ from what was predicted, over all nodes, as the retransmission time-out
//! of TCP follows from round trips (RFC 6298: some mean deviations above the mean).

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
    config: Config,
    /// Of the first rendition of a job, and of its last.
    first: Spread,
    last: Spread,
    band: f64,
}

/// Ratios to what was predicted for a job.
#[derive(Debug, Clone, Copy)]
struct Spread {
    /// Mean and mean deviation of the logarithm of measured over predicted.
    mean: f64,
    deviation: f64,
    marks: Marks,
}

/// Ratios to what was predicted for a job, beyond which something is to be thought of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marks {
    /// Half of the jobs are still out: no reason for anything, and yet evidence beside another.
    pub(super) due: f64,
    /// Few are: reason enough to send the next one elsewhere, where that costs nothing.
    pub(super) suspect: f64,
    /// Chance does not explain it.
    pub(super) late: f64,
}

impl Marks {
    /// All at the same ratio.
    pub(super) fn all(ratio: f64) -> Self {
        Self {
            due: ratio,
            suspect: ratio,
            late: ratio,
        }
    }
}

/// Mean deviations above the mean that a job takes half of the time, and beyond which a sample is
/// more than noise: one in 120.
const DUE: f64 = 0.0;
const NOISE: f64 = 3.0;
/// Mean deviations that remain of a job when the time that was predicted for it is over: of times
/// that vary log-normally, one and a little. What waits for several of them is worse off, since what
/// it waits for is what is late.
const REST: f64 = 1.75;
/// Samples that make a new average.
const MEMORY: f64 = 64.0;

impl Spread {
    fn new(config: &Config) -> Self {
        let mut spread = Self {
            mean: 0.0,
            deviation: 0.17,
            marks: Marks::all(0.0),
        };
        spread.derive(config);
        spread
    }

    fn observe(&mut self, ratio: f64, config: &Config) {
        if !ratio.is_finite() {
            return;
        }
        let off = ratio.clamp(0.25, 4.0).ln() - self.mean;
        self.mean += off / MEMORY;
        self.deviation += (off.abs() - self.deviation) / MEMORY;
        self.derive(config);
    }

    fn beyond(&self, deviations: f64) -> f64 {
        (self.mean + deviations * self.deviation).exp()
    }

    fn derive(&mut self, config: &Config) {
        self.marks = Marks {
            due: self.beyond(DUE).clamp(0.7, 2.0),
            suspect: self.beyond(config.suspect).clamp(1.1, 3.0),
            late: self.beyond(config.certain).clamp(1.25, 4.0),
        };
    }
}

impl Surprise {
    pub(super) fn new(config: Config) -> Self {
        let spread = Spread::new(&config);
        let mut s = Self {
            config,
            first: spread,
            last: spread,
            band: 0.0,
        };
        s.derive();
        s
    }

    /// Goes by other constants from now on.
    pub(super) fn reconfigure(&mut self, config: Config) {
        self.config = config;
        self.first.derive(&config);
        self.last.derive(&config);
        self.derive();
    }

    /// A job's first and last rendition took `first` and `last` times what was predicted for them.
    pub(super) fn observe(&mut self, first: Option<f64>, last: f64) {
        if let Some(first) = first {
            self.first.observe(first, &self.config);
        }
        self.last.observe(last, &self.config);
        self.derive();
    }

    fn derive(&mut self) {
        self.band = self.last.beyond(NOISE).clamp(1.15, 3.0);
    }

    /// What is to be thought of a job of which nothing has come, where the first rendition comes
    /// after this part of the time: it comes no later than the last.
    pub(super) fn first(&self, part: f64) -> Marks {
        let (first, last) = (self.first.marks, self.last.marks);
        Marks {
            due: (part * first.due).min(last.due),
            suspect: (part * first.suspect).min(last.suspect),
            late: (part * first.late).min(last.late),
        }
    }

    /// What is to be thought of a job of which not all has come.
    pub(super) fn last(&self) -> Marks {
        self.last.marks
    }

    /// Ratio to the prediction beyond which a job is late: chance does not explain it.
    pub(super) fn late(&self) -> f64 {
        self.last.marks.late
    }

    /// What remains of a job when the time that was predicted for it is over, as a part of that.
    pub(super) fn rest(&self) -> f64 {
        (REST * self.last.deviation).clamp(0.02, 0.5)
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
    fn the_first_rendition_is_expected_when_first_ones_come_and_no_later_than_the_last() {
        let mut s = Surprise::new(Config::default());
        for _ in 0..1000 {
            s.observe(Some(1.0), 1.0);
        }
        let marks = |s: &Surprise, part| (s.first(part).suspect, s.first(part).late);
        assert_eq!(marks(&s, 0.5), (0.55, 0.625));
        // What is known of the last rendition is the better mark where first ones differ.
        for i in 0..1000u32 {
            s.observe(Some(if i % 2 == 0 { 0.6 } else { 1.9 }), 1.0);
        }
        assert_eq!(marks(&s, 0.9), (1.1, 1.25));
    }

    #[test]
    fn nobody_is_late_by_less_than_some_noise_however_high_predictions_are() {
        let mut s = Surprise::new(Config::default());
        for _ in 0..1000 {
            s.observe(Some(0.8), 0.8);
        }
        assert_eq!((s.last().suspect, s.late()), (1.1, 1.25));
    }

    #[test]
    fn late_follows_the_noise_that_was_seen() {
        let mut s = Surprise::new(Config::default());
        assert!((1.7..2.0).contains(&s.late()));
        for _ in 0..1000 {
            s.observe(None, 1.0);
        }
        assert_eq!(
            (s.last().suspect, s.late()),
            (1.1, 1.25),
            "no noise, no patience"
        );
        for i in 0..1000u32 {
            s.observe(None, if i % 2 == 0 { 1.5 } else { 0.67 });
        }
        assert!(s.last().suspect > 2.0 && s.last().suspect < s.band());
        assert!(s.late() > 3.0 && s.band() < s.late());
        s.observe(Some(f64::NAN), f64::NAN);
        assert!(s.late().is_finite());
    }
}
