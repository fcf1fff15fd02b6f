//! `[stream]`: what is decided once a stream.

use std::time::Duration;

use rackcast_segment::ladder::Ladder;
use rackcast_segment::rate::Policy;
use serde::Deserialize;

/// What happens when a second publisher comes to a stream that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondPublisher {
    /// The second is refused.
    #[default]
    Refuse,
    /// The second takes over and the first is sent away.
    TakeOver,
}

/// `[stream]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The ladder of streams for which the authorisation names none.
    pub ladder: Ladder,
    /// What happens when a second publisher comes: `refuse` or `take-over`.
    pub second_publisher: SecondPublisher,
    /// How long a stream whose publisher was lost waits for it before it ends.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How far a publisher's media may run ahead of the clock; beyond, it is not read until the
    /// clock has caught up.
    #[serde(with = "humantime_serde")]
    pub max_ahead: Duration,
    /// Time from the cut of a segment until its renditions must be there, in target durations.
    pub deadline_targets: f64,
    /// Streams with a publisher or in their grace, at most.
    pub max_streams: usize,
    /// How the mean bit rates of renditions are kept; of streams that begin an epoch.
    pub rate: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ladder: Ladder::default(),
            second_publisher: SecondPublisher::default(),
            grace: Duration::from_secs(30),
            max_ahead: Duration::from_secs(10),
            deadline_targets: 1.5,
            max_streams: 500,
            rate: Policy::default(),
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// What is wrong and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if !(0.5..=10.0).contains(&self.deadline_targets) {
            return Err("stream.deadline_targets must be between 0.5 and 10".to_owned());
        }
        if self.max_ahead < Duration::from_secs(1) {
            return Err(
                "stream.max_ahead must be at least 1s: publishers send in bursts".to_owned(),
            );
        }
        if self.max_streams == 0 {
            return Err("stream.max_streams must be at least 1".to_owned());
        }
        let rate = self.rate.check();
        rate.map_err(|e| format!("stream.rate.{e}"))
    }
}
