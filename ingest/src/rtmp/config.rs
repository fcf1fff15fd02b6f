//! `[rtmp]`: what a publisher's connection may take.

use std::time::Duration;

use serde::Deserialize;

use super::chunk::Limits;

/// `[rtmp]`. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections at the same time from one IPv4 address or one IPv6 /64.
    pub connections_per_address: usize,
    /// Time for the handshake.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// Time from the end of the handshake until a stream is published.
    #[serde(with = "humantime_serde")]
    pub publish_timeout: Duration,
    /// Time that a publisher may send nothing at all.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Time for the peer to take what is sent to it.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Time for a publisher that was sent away to read why.
    #[serde(with = "humantime_serde")]
    pub linger_timeout: Duration,
    /// Largest message of a publisher that was let in.
    pub max_message: usize,
    /// Most bytes of messages begun and not finished.
    pub max_half_open_bytes: usize,
    /// Most messages begun and not finished.
    pub max_half_open: usize,
    /// Most chunk streams of a connection.
    pub max_chunk_streams: usize,
    /// Largest chunk size that a publisher may set.
    pub max_chunk_size: usize,
    /// Largest message, and most half-open bytes, before a publisher was let in.
    pub max_early_message: usize,
    /// A step of the publisher's clock above this, forward, is a clock set anew and not a gap.
    #[serde(with = "humantime_serde")]
    pub max_gap: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_address: 100,
            handshake_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(3),
            max_message: 10 * 1024 * 1024,
            max_half_open_bytes: 12 * 1024 * 1024,
            max_half_open: 8,
            max_chunk_streams: 64,
            max_chunk_size: 0x00ff_ffff,
            max_early_message: 64 * 1024,
            max_gap: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// What is wrong and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let at_least_one = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("max_half_open", self.max_half_open),
            ("max_chunk_size", self.max_chunk_size),
        ];
        if let Some((key, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(format!("rtmp.{key} must be at least 1"));
        }
        if self.max_half_open_bytes < self.max_message {
            return Err("rtmp.max_half_open_bytes must not be below rtmp.max_message".to_owned());
        }
        if self.max_early_message < 4096 {
            return Err("rtmp.max_early_message must be at least 4096".to_owned());
        }
        let times = [
            ("handshake_timeout", self.handshake_timeout),
            ("publish_timeout", self.publish_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
            ("max_gap", self.max_gap),
        ];
        match times.iter().find(|(_, time)| time.is_zero()) {
            Some((key, _)) => Err(format!("rtmp.{key} must be above zero")),
            None => Ok(()),
        }
    }

    /// What the chunk layer may hold for a publisher that was let in.
    pub fn limits(&self) -> Limits {
        Limits {
            chunk_size: self.max_chunk_size,
            message: self.max_message,
            chunk_streams: self.max_chunk_streams,
            half_open: self.max_half_open,
            half_open_bytes: self.max_half_open_bytes,
        }
    }

    /// What it may hold for one that was not let in yet.
    pub fn early_limits(&self) -> Limits {
        Limits {
            message: self.max_early_message,
            half_open_bytes: self.max_early_message,
            ..self.limits()
        }
    }
}
