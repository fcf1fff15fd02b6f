//! `[supervisor]`.

use std::time::Duration;

use serde::Deserialize;

/// `[supervisor]`: start, restart and stop of the generation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A generation that says nothing for this long hangs and is killed.
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// How long a generation may take to finish when it is told to stop.
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(15),
            stop_grace: Duration::from_secs(10),
        }
    }
}
