use std::time::Duration;

use serde::Deserialize;

use super::late::Surprise;
use super::{health, home, late, subset, zone};
use crate::bounds;

/// The constants of the policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Output pixels a second that one slot of a node is taken to make while no node was
    /// measured and the catalog says nothing.
    pub prior_pixel_rate: f64,
    /// Time constant with which a node's estimate follows results, and with which a result
    /// that was worse than noise explains is forgotten.
    #[serde(with = "humantime_serde")]
    pub decay: Duration,
    /// Time constant with which the estimate of a node that gets no work drifts to what the
    /// fleet and the catalog make likely, so that it is tried again.
    #[serde(with = "humantime_serde")]
    pub forget: Duration,
    /// A node that was not measured for so long is worth a segment.
    #[serde(with = "humantime_serde")]
    pub stale: Duration,
    /// Segments spent on nodes that are not or no longer measured, for each segment sent.
    pub curiosity: f64,
    /// How much longer a job takes on a full node than on an idle one, as a part.
    pub contention: f64,
    /// A result that took this many times longer than the node needs as a rule is a failure
    /// of its own kind.
    pub slow: f64,
    /// How long a load report counts.
    #[serde(with = "humantime_serde")]
    pub load_fresh: Duration,
    /// A node is asked for its load at most so often, and only while no answer tells it.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// The longest time for which a node's Retry-After is respected.
    #[serde(with = "humantime_serde")]
    pub block_max: Duration,
    /// How long a node that pushes back without a Retry-After is left alone; twice as long
    /// each further time in a row.
    #[serde(with = "humantime_serde")]
    pub block_default: Duration,
    /// The most segments in flight to one node, whatever slots it claims. A node is never
    /// given more than twice its slots: one running and one queued for each.
    pub max_in_flight_per_node: u32,
    /// When a stream changes its node.
    pub home: home::Config,
    /// This ingest's share of the fleet.
    pub subset: subset::Config,
    /// When a job, and with it its node, is late.
    pub late: late::Config,
    /// When a node is doubted, ejected, tried and taken back.
    pub eject: health::Config,
    /// When a zone is left as a whole.
    pub zone: zone::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prior_pixel_rate: 100e6,
            decay: Duration::from_secs(10),
            forget: Duration::from_secs(300),
            stale: Duration::from_secs(30),
            curiosity: 0.005,
            contention: 0.1,
            slow: 2.0,
            load_fresh: Duration::from_millis(1500),
            probe_interval: Duration::from_secs(1),
            block_max: Duration::from_secs(10),
            block_default: Duration::from_millis(500),
            max_in_flight_per_node: 256,
            home: home::Config::default(),
            subset: subset::Config::default(),
            late: late::Config::default(),
            eject: health::Config::default(),
            zone: zone::Config::default(),
        }
    }
}

impl Config {
    /// Refuses values with which the policy cannot work, naming the key.
    ///
    /// # Errors
    /// The first key that makes no sense, and why.
    pub fn check(&self) -> Result<(), String> {
        if !(self.prior_pixel_rate.is_finite() && self.prior_pixel_rate >= 1.0) {
            return Err("prior_pixel_rate must be a number of at least 1".to_owned());
        }
        if self.decay.is_zero() || self.forget.is_zero() {
            return Err("decay and forget must be longer than 0 s".to_owned());
        }
        let least = Duration::from_millis(10);
        bounds::time("probe_interval", self.probe_interval, least, bounds::DAY)?;
        bounds::time("load_fresh", self.load_fresh, least, bounds::DAY)?;
        bounds::times([
            ("decay", self.decay),
            ("forget", self.forget),
            ("stale", self.stale),
            ("block_default", self.block_default),
            ("block_max", self.block_max),
        ])?;
        if !(0.0..=1.0).contains(&self.curiosity) {
            return Err("curiosity must be from 0 to 1".to_owned());
        }
        if !(self.contention.is_finite() && self.contention >= 0.0) {
            return Err("contention must be a number of at least 0".to_owned());
        }
        if !(self.slow.is_finite() && self.slow > 1.0) {
            return Err("slow must be a number above 1".to_owned());
        }
        if self.max_in_flight_per_node == 0 {
            return Err("max_in_flight_per_node must be at least 1".to_owned());
        }
        let parts = [
            ("home", self.home.check()),
            ("subset", self.subset.check()),
            ("late", self.late.check()),
            ("eject", self.eject.check()),
            ("zone", self.zone.check()),
        ];
        for (name, result) in parts {
            result.map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }
}

/// The constants that every pick needs, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) decay: f64,
    pub(super) forget: f64,
    pub(super) stale: f64,
    pub(super) load_fresh: f64,
    pub(super) contention: f64,
    pub(super) slow: f64,
    /// A job is never late by less than this.
    pub(super) patience: f64,
    pub(super) most: u32,
    /// What remains of a job when the time that was predicted for it is over, as a part of that: as far as is known.
    pub(super) rest: f64,
}

impl From<&Config> for Pace {
    fn from(config: &Config) -> Self {
        Self {
            decay: config.decay.as_secs_f64(),
            forget: config.forget.as_secs_f64(),
            stale: config.stale.as_secs_f64(),
            load_fresh: config.load_fresh.as_secs_f64(),
            contention: config.contention,
            slow: config.slow,
            patience: config.late.least.as_secs_f64(),
            most: config.max_in_flight_per_node,
            rest: Surprise::new(config.late).rest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_nonsense_is_named() {
        assert_eq!(Config::default().check(), Ok(()));
        type Change = fn(&mut Config);
        let bad: [(&str, Change); 8] = [
            ("prior_pixel_rate", |c| c.prior_pixel_rate = f64::NAN),
            ("slow", |c| c.slow = 1.0),
            ("home: ", |c| c.home.better = 1.0),
            ("subset: ", |c| c.subset.least = 0),
            ("eject: ", |c| c.eject.failures = 0),
            ("late: ", |c| c.late.suspect = 4.0),
            ("zone: ", |c| c.zone.share = 0.0),
            ("zone: ", |c| c.zone.slow_start = 0.0),
        ];
        for (key, change) in bad {
            let mut config = Config::default();
            change(&mut config);
            let error = config.check();
            assert!(
                error.as_ref().is_err_and(|e| e.starts_with(key)),
                "{key}: {error:?}"
            );
        }
    }
}
