use std::time::Duration;

use serde::Deserialize;

/// The constants of the policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Output pixels a second that one slot of a node is taken to make while nothing was
    /// measured and the catalog says nothing.
    pub prior_pixel_rate: f64,
    /// How long a load report counts.
    #[serde(with = "humantime_serde")]
    pub load_fresh: Duration,
    /// The most segments in flight to one node, whatever slots it claims. A node is never
    /// given more than twice its slots: one running and one queued for each.
    pub max_in_flight_per_node: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prior_pixel_rate: 100e6,
            load_fresh: Duration::from_millis(1500),
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
        if self.max_in_flight_per_node == 0 {
            return Err("max_in_flight_per_node must be at least 1".to_owned());
        }
        Ok(())
    }
}
