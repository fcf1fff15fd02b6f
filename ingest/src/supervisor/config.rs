//! `[supervisor]`.

use std::time::Duration;

use serde::Deserialize;

/// `[supervisor]`: start, hand-over and stop of generations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A generation that says nothing for this long hangs and is killed.
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// How long a generation may take to become ready. The one before serves on if it does not.
    #[serde(with = "humantime_serde")]
    pub start_limit: Duration,
    /// How long a generation may take to finish when it is told to stop.
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
    /// How long a generation serves its publishers after a newer one took over; then they are
    /// sent away, and reconnect to the newer one.
    #[serde(with = "humantime_serde")]
    pub generation_limit: Duration,
    /// Generations at the same time. When there are more, the oldest one's publishers are sent
    /// away.
    pub max_generations: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(15),
            start_limit: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            generation_limit: Duration::from_secs(12 * 3600),
            max_generations: 4,
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The key and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let second = Duration::from_secs(1);
        if self.silence < 3 * second {
            return Err("supervisor.silence must be at least 3s".to_owned());
        }
        if self.start_limit < second || self.stop_grace < second {
            return Err(
                "supervisor.start_limit and supervisor.stop_grace must be at least 1s".to_owned(),
            );
        }
        if !(2..=16).contains(&self.max_generations) {
            return Err("supervisor.max_generations must be between 2 and 16".to_owned());
        }
        Ok(())
    }
}
