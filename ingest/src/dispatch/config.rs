use std::ops::RangeInclusive;
use std::time::Duration;

use rackcast_route::plan::{Attempts, Hedge};
use rackcast_route::router::{Refusals, Retries, circuit};
use serde::Deserialize;

use super::PreciousConfig;

/// How segments reach the nodes and what may be spent on them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections.
    pub link: LinkConfig,
    /// Segments in flight, all streams together; further ones are gaps at once.
    pub max_segments_in_flight: usize,
    /// Segments of one stream in flight; further ones are gaps at once. Of streams that begin.
    pub max_segments_per_stream: usize,
    /// Length of one rendition of one segment, in bytes.
    pub max_rendition_bytes: usize,
    /// Attempts at one segment.
    pub attempts: Attempts,
    /// A second attempt beside a slow one.
    pub hedge: Hedge,
    /// What all attempts beyond the segments' first may cost together.
    pub retries: Retries,
    /// What attempts after push-back may cost together.
    pub refusals: Refusals,
    /// Streams whose segments run several times in parallel.
    pub precious: PreciousConfig,
    /// A stream that keeps failing.
    pub circuit: circuit::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            link: LinkConfig::default(),
            max_segments_in_flight: 1024,
            max_segments_per_stream: 32,
            max_rendition_bytes: 32 << 20,
            attempts: Attempts::default(),
            hedge: Hedge::default(),
            retries: Retries::default(),
            refusals: Refusals::default(),
            precious: PreciousConfig::default(),
            circuit: circuit::Config::default(),
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
    /// Refuses values with which nothing could be dispatched, naming the key. What the policy
    /// takes over is checked with it.
    ///
    /// # Errors
    /// The first key that makes no sense, and why.
    pub fn check(&self) -> Result<(), String> {
        let link = &self.link;
        let problem = if self.max_segments_in_flight == 0 {
            "max_segments_in_flight must be at least 1"
        } else if self.max_segments_per_stream == 0 {
            "max_segments_per_stream must be at least 1"
        } else if self.max_rendition_bytes < 1 << 16 {
            "max_rendition_bytes must be at least 65536"
        } else if !(1..=64).contains(&link.connections) {
            "link.connections must be between 1 and 64"
        } else if link.connect_timeout.is_zero() {
            "link.connect_timeout must be above 0s"
        } else if link.keepalive_timeout.is_zero() {
            "link.keepalive_timeout must be above 0s"
        } else if !WINDOW.contains(&link.stream_window) {
            "link.stream_window must be between 65535 and 2147483647 bytes"
        } else if !WINDOW.contains(&link.connection_window) {
            "link.connection_window must be between 65535 and 2147483647 bytes"
        } else {
            let precious = self.precious.check();
            return precious.map_err(|e| format!("dispatch.precious.{e}"));
        };
        Err(format!("dispatch.{problem}"))
    }
}

/// RFC 9113, section 6.9.1: a window has 31 bits.
const WINDOW: RangeInclusive<u32> = 65_535..=0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_and_nonsense_is_named() {
        assert_eq!(Config::default().check(), Ok(()));
        type Spoil = fn(&mut Config);
        let broken: [(&str, Spoil); 7] = [
            ("dispatch.max_segments_in_flight", |c| {
                c.max_segments_in_flight = 0;
            }),
            ("dispatch.max_segments_per_stream", |c| {
                c.max_segments_per_stream = 0;
            }),
            ("dispatch.max_rendition_bytes", |c| {
                c.max_rendition_bytes = 0;
            }),
            ("dispatch.link.connections", |c| c.link.connections = 0),
            ("dispatch.link.stream_window", |c| {
                c.link.stream_window = u32::MAX;
            }),
            ("dispatch.link.connect_timeout", |c| {
                c.link.connect_timeout = Duration::ZERO;
            }),
            ("dispatch.precious.streams", |c| {
                c.precious.streams.push("no/such/stream".to_owned());
            }),
        ];
        for (key, spoil) in broken {
            let mut config = Config::default();
            spoil(&mut config);
            assert!(config.check().is_err_and(|e| e.starts_with(key)), "{key}");
        }
    }
}
