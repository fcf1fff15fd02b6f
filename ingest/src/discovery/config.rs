use std::time::Duration;

use serde::Deserialize;

/// How the nodes are found and their load is kept known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Nodes that are taken from the catalog; further ones are ignored.
    pub max_nodes: usize,
    /// Time for one probe.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
    /// Probes at once.
    pub probe_concurrency: usize,
    /// How long the catalog may take to answer for the first time before the ingest calls
    /// itself ready with what it has.
    #[serde(with = "humantime_serde")]
    pub first_answer: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_nodes: 2000,
            probe_timeout: Duration::from_secs(1),
            probe_concurrency: 16,
            first_answer: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Refuses values with which no node could be found, naming the key.
    ///
    /// # Errors
    /// The first key that makes no sense, and why.
    pub fn check(&self) -> Result<(), String> {
        if self.max_nodes == 0 {
            return Err("discovery.max_nodes must be at least 1".to_owned());
        }
        if self.probe_concurrency == 0 {
            return Err("discovery.probe_concurrency must be at least 1".to_owned());
        }
        if self.probe_timeout.is_zero() {
            return Err("discovery.probe_timeout must be above 0s".to_owned());
        }
        Ok(())
    }
}
