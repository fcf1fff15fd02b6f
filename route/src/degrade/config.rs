use std::time::Duration;

use serde::Deserialize;

use crate::bounds;

/// When renditions are left out and when they come back: `[degrade]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether any ever is.
    pub enabled: bool,
    /// Positions in the ladder, 1 is the top rung, in the order in which they are left out.
    /// Those that are not named follow from the top; the lowest rung goes last, named or not.
    pub order: Vec<u8>,
    /// How often it is decided.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Share of the segments that must be in trouble (refused, waiting for a node, late) before
    /// anything is left out.
    pub trouble: f64,
    /// Utilisation of the fleet, predicted or seen, under which trouble is no overload.
    pub overloaded: f64,
    /// Utilisation that is aimed at when renditions are left out.
    pub target: f64,
    /// Utilisation that must not be passed when renditions are taken back.
    pub resume: f64,
    /// How long there must have been no trouble before any is taken back.
    #[serde(with = "humantime_serde")]
    pub calm: Duration,
    /// The longest that grows to: a step back that brings trouble doubles it for the next one.
    #[serde(with = "humantime_serde")]
    pub calm_max: Duration,
    /// A fleet of which no more of the slots are taken has room, whatever is believed of it.
    pub idle: f64,
    /// The least share of what the nodes are measured to make that is believed, however often
    /// that proves too much.
    pub least_believed: f64,
    /// How long the effect of a change is awaited before the next.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
    /// The most that is taken back at once, in rungs.
    pub step: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            order: Vec::new(),
            interval: Duration::from_millis(500),
            trouble: 0.1,
            overloaded: 0.9,
            target: 0.85,
            resume: 0.75,
            calm: Duration::from_secs(5),
            calm_max: Duration::from_secs(80),
            idle: 0.5,
            least_believed: 0.2,
            settle: Duration::from_secs(2),
            step: 0.25,
        }
    }
}

impl Config {
    /// Refuses values with which it would swing, or never act.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.interval < Duration::from_millis(50) {
            return Err("interval must be at least 50ms".to_owned());
        }
        if !(self.trouble > 0.0 && self.trouble <= 1.0) {
            return Err("trouble must be above 0 and at most 1".to_owned());
        }
        let shares = [self.resume, self.target, self.overloaded];
        let rising = shares.windows(2).all(|w| matches!(w, [a, b] if a < b));
        if !(rising && self.resume > 0.0 && self.overloaded <= 1.0) {
            return Err("resume, target and overloaded must rise between 0 and 1".to_owned());
        }
        if !(self.step > 0.0 && self.step <= 16.0) {
            return Err("step must be above 0 and at most 16".to_owned());
        }
        if self.calm_max < self.calm {
            return Err("calm_max must be at least calm".to_owned());
        }
        if !(self.idle >= 0.0 && self.idle < self.resume) {
            return Err("idle must be at least 0 and below resume".to_owned());
        }
        if !(self.least_believed > 0.0 && self.least_believed <= 1.0) {
            return Err("least_believed must be above 0 and at most 1".to_owned());
        }
        if self.order.contains(&0) {
            return Err("order counts from 1".to_owned());
        }
        bounds::times([
            ("interval", self.interval),
            ("calm_max", self.calm_max),
            ("settle", self.settle),
        ])
    }
}
