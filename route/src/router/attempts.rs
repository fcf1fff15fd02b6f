use std::time::Duration;

use serde::Deserialize;

use super::purse::ASKS_AGAIN;
use crate::bounds;

/// Attempts at one segment: `[dispatch.attempts]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attempts {
    /// Submissions of one segment that nodes take on, the first included; refused ones do not
    /// count, nor do copies of precious segments.
    pub max: u32,
    /// Share of the time left after which an attempt counts as hung and another node may take
    /// over; above 0, at most 1.
    pub share: f64,
    /// It also counts as hung after so many times what was predicted; at least 2. No attempt
    /// is hung before twice what was predicted.
    pub patience: f64,
    /// How long after a failure the same node may be tried again, where no other is left.
    #[serde(with = "humantime_serde")]
    pub again: Duration,
    /// How often a segment that waits, for a node or for its budget, looks again.
    #[serde(with = "humantime_serde")]
    pub look_again: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            max: 4,
            share: 0.6,
            patience: 4.0,
            again: Duration::from_millis(250),
            look_again: Duration::from_millis(50),
        }
    }
}

impl Attempts {
    /// Refuses values with which nothing would be sent, or for ever.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=16).contains(&self.max) {
            return Err("max must be between 1 and 16".to_owned());
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err("share must be above 0 and at most 1".to_owned());
        }
        if !(2.0..=1000.0).contains(&self.patience) {
            return Err("patience must be between 2 and 1000".to_owned());
        }
        let (least, most) = (Duration::from_millis(1), ASKS_AGAIN);
        bounds::time("look_again", self.look_again, least, most)?;
        bounds::times([("again", self.again)])
    }
}

/// A second submission beside a slow one: `[dispatch.hedge]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// Whether there are any.
    pub enabled: bool,
    /// A submission is slow beyond this quantile of its class of work, as a multiple of what
    /// was predicted.
    pub quantile: f64,
    /// Nothing is slow before this.
    #[serde(with = "humantime_serde")]
    pub min_delay: Duration,
    /// Share of the fleet's slots that must be free.
    pub free_slots: f64,
    /// Results of a class from which its quantile is believed.
    pub min_samples: u32,
    /// A result counts half after this time.
    #[serde(with = "humantime_serde")]
    pub half_life: Duration,
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            enabled: true,
            quantile: 0.95,
            min_delay: Duration::from_millis(50),
            free_slots: 0.2,
            min_samples: 20,
            half_life: Duration::from_secs(30),
        }
    }
}

impl Hedge {
    /// Refuses values that are no shares or would never forget.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if !(self.quantile > 0.0 && self.quantile < 1.0) {
            return Err("quantile must be above 0 and below 1".to_owned());
        }
        if !(0.0..=1.0).contains(&self.free_slots) {
            return Err("free_slots must be between 0 and 1".to_owned());
        }
        if self.half_life.is_zero() {
            return Err("half_life must be longer than 0 s".to_owned());
        }
        if self.min_samples == 0 {
            return Err("min_samples must be at least 1".to_owned());
        }
        bounds::times([("min_delay", self.min_delay), ("half_life", self.half_life)])
    }
}

/// Streams that are marked precious: `[dispatch.precious]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Precious {
    /// Submissions of each segment that run in parallel, on as many nodes.
    pub copies: u32,
}

impl Default for Precious {
    fn default() -> Self {
        Self { copies: 2 }
    }
}

impl Precious {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if (1..=4).contains(&self.copies) {
            Ok(())
        } else {
            Err("copies must be between 1 and 4".to_owned())
        }
    }
}
