use std::time::Duration;

use serde::Deserialize;

/// `[relay]`: bounds of what is fetched from other processes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests under way to one process, until their bodies have ended.
    pub max_requests: usize,
    /// Idle connections kept to one process.
    pub idle_connections: usize,
    /// Time until a process begins to answer, the connection included.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Time that a process may send nothing within a body.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_requests: 1024,
            idle_connections: 64,
            head_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Refuses values with which nothing could be relayed.
    ///
    /// # Errors
    /// The key and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.max_requests == 0 {
            return Err("relay.max_requests must be at least 1".to_owned());
        }
        if self.head_timeout.is_zero() || self.body_timeout.is_zero() {
            return Err("relay.head_timeout and relay.body_timeout must be above 0s".to_owned());
        }
        Ok(())
    }
}
