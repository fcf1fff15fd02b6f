use std::time::Duration;

use serde::Deserialize;

/// `[explain]`: how much is remembered of what was decided.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Segments remembered of one stream.
    pub segments_per_stream: usize,
    /// Streams remembered; beyond, the one that was silent for the longest goes.
    pub max_streams: usize,
    /// Bytes for all of them, about; beyond, the oldest segment of all goes.
    pub max_bytes: usize,
    /// How long a stream without a new segment is remembered.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// The largest answer, in bytes: older segments are left out of it.
    pub max_answer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segments_per_stream: 150,
            max_streams: 1000,
            max_bytes: 64 << 20,
            keep: Duration::from_secs(15 * 60),
            max_answer: 1 << 20,
        }
    }
}

/// An answer that has no room for a segment at its longest answers nothing.
const LEAST_ANSWER: usize = 64 << 10;

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub fn check(&self) -> Result<(), String> {
        for (key, value) in [
            ("segments_per_stream", self.segments_per_stream),
            ("max_streams", self.max_streams),
            ("max_bytes", self.max_bytes),
        ] {
            if value == 0 {
                return Err(format!("explain.{key} must be 1 or more"));
            }
        }
        if self.max_answer < LEAST_ANSWER {
            return Err(format!("explain.max_answer must be {LEAST_ANSWER} or more"));
        }
        Ok(())
    }
}
