use std::time::Duration;

use rackcast_route::budget;
use serde::Deserialize;

/// How segments reach the nodes and what may be spent on them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections.
    pub link: LinkConfig,
    /// Submissions of one segment, the first included; refusals do not count.
    pub max_attempts: u32,
    /// Share of the time left that an attempt gets while another node could still take over,
    /// above 0 and at most 1. A node is always given twice the time it is predicted to need.
    pub attempt_share: f64,
    /// Segments in flight, all streams together; further ones are gaps at once.
    pub max_segments_in_flight: usize,
    /// Length of one rendition of one segment, in bytes.
    pub max_rendition_bytes: usize,
    /// What all retries together may add to the number of submissions.
    pub retries: budget::Config,
    /// What all submissions that end in push-back may add.
    pub refusals: budget::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            link: LinkConfig::default(),
            max_attempts: 3,
            attempt_share: 0.6,
            max_segments_in_flight: 1024,
            max_rendition_bytes: 32 << 20,
            retries: budget::Config::default(),
            refusals: budget::Config::refusals(),
        }
    }
}

/// The HTTP/2 connections to one node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkConfig {
    /// Connections to each node: one lost packet stalls only the segments of one.
    pub connections: usize,
    /// Time for one attempt to connect.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest pause between attempts to connect.
    #[serde(with = "humantime_serde")]
    pub reconnect_max: Duration,
    /// Pause between pings.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// A ping that is not answered for this long ends the connection.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// Flow-control window of one answer in bytes; at least the bandwidth-delay product.
    pub stream_window: u32,
    /// Flow-control window of one connection in bytes.
    pub connection_window: u32,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            connections: 2,
            connect_timeout: Duration::from_secs(1),
            reconnect_max: Duration::from_secs(2),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(4),
            stream_window: 4 << 20,
            connection_window: 16 << 20,
        }
    }
}

impl Config {
    /// Refuses values with which nothing could be dispatched, naming the key.
    ///
    /// # Errors
    /// The first key that makes no sense, and why.
    pub fn check(&self) -> Result<(), String> {
        let link = &self.link;
        if self.max_attempts == 0 || self.max_segments_in_flight == 0 {
            return Err("max_attempts and max_segments_in_flight must be at least 1".to_owned());
        }
        if !(self.attempt_share > 0.0 && self.attempt_share <= 1.0) {
            return Err("attempt_share must be above 0 and at most 1".to_owned());
        }
        if self.max_rendition_bytes < 1 << 16 {
            return Err("max_rendition_bytes must be at least 65536".to_owned());
        }
        if !(1..=64).contains(&link.connections) {
            return Err("link.connections must be between 1 and 64".to_owned());
        }
        if link.connect_timeout.is_zero() || link.keepalive_timeout.is_zero() {
            return Err("link: no time-out may be 0 s".to_owned());
        }
        // RFC 9113, section 6.9.1: a window has 31 bits.
        let window = 65_535..=0x7fff_ffff;
        if !window.contains(&link.stream_window) || !window.contains(&link.connection_window) {
            return Err("link: windows must be between 65535 and 2147483647 bytes".to_owned());
        }
        self.retries.check().map_err(|e| format!("retries: {e}"))?;
        self.refusals.check().map_err(|e| format!("refusals: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_and_nonsense_is_named() {
        assert_eq!(Config::default().check(), Ok(()));
        type Spoil = fn(&mut Config);
        let broken: [(&str, Spoil); 6] = [
            ("max_attempts", |c| c.max_attempts = 0),
            ("attempt_share", |c| c.attempt_share = f64::NAN),
            ("max_rendition_bytes", |c| c.max_rendition_bytes = 0),
            ("link.connections", |c| c.link.connections = 0),
            ("windows", |c| c.link.stream_window = u32::MAX),
            ("retries", |c| c.retries.per_second = -1.0),
        ];
        for (key, spoil) in broken {
            let mut config = Config::default();
            spoil(&mut config);
            assert!(config.check().is_err_and(|e| e.contains(key)), "{key}");
        }
    }
}
