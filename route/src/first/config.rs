use std::time::Duration;

use serde::Deserialize;

/// The constants of the policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Output pixels a second that one slot of a node is taken to make while nothing was
    /// measured and the catalog says nothing.
    pub prior_pixel_rate: f64,
    /// Time constant with which a node's estimate follows results that are better than it;
    /// worse results are taken over at once.
    #[serde(with = "humantime_serde")]
    pub decay: Duration,
    /// Time constant with which the estimate of a node that gets no work drifts back to its
    /// prior, so that it is tried again.
    #[serde(with = "humantime_serde")]
    pub forget: Duration,
    /// How long a load report counts.
    #[serde(with = "humantime_serde")]
    pub load_fresh: Duration,
    /// What a failure adds to the node's predicted finish; fades with `decay`.
    #[serde(with = "humantime_serde")]
    pub failure_penalty: Duration,
    /// Failures in a row that eject a node. A refused connection ejects at once.
    pub failures_to_eject: u32,
    /// The first ejection's length; each further one is twice as long, up to `eject_max`,
    /// and each is jittered by a quarter.
    #[serde(with = "humantime_serde")]
    pub eject_base: Duration,
    /// The longest ejection.
    #[serde(with = "humantime_serde")]
    pub eject_max: Duration,
    /// Good conduct after which earlier ejections no longer lengthen the next one.
    #[serde(with = "humantime_serde")]
    pub forgive: Duration,
    /// The longest time for which a node's Retry-After is respected.
    #[serde(with = "humantime_serde")]
    pub block_max: Duration,
    /// How long a node that pushes back without a Retry-After is left alone.
    #[serde(with = "humantime_serde")]
    pub block_default: Duration,
    /// The most segments in flight to one node, whatever slots it claims. A node is never
    /// given more than twice its slots: one running and one queued for each.
    pub max_in_flight_per_node: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prior_pixel_rate: 100e6,
            decay: Duration::from_secs(10),
            forget: Duration::from_secs(60),
            load_fresh: Duration::from_millis(1500),
            failure_penalty: Duration::from_secs(5),
            failures_to_eject: 3,
            eject_base: Duration::from_secs(5),
            eject_max: Duration::from_secs(300),
            forgive: Duration::from_secs(60),
            block_max: Duration::from_secs(10),
            block_default: Duration::from_millis(500),
            max_in_flight_per_node: 256,
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
        if self.failures_to_eject == 0 || self.max_in_flight_per_node == 0 {
            return Err(
                "failures_to_eject and max_in_flight_per_node must be at least 1".to_owned(),
            );
        }
        if self.eject_base.is_zero() || self.eject_max < self.eject_base {
            return Err("eject_base must be above 0 s and not above eject_max".to_owned());
        }
        Ok(())
    }
}
