//! What an operator may set of the origin.

use std::time::Duration;

use serde::Deserialize;

/// Window, memory and caching of every stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Segments in a live playlist; at least 3. More are listed while they are so short that
    /// together they last less than three times `EXT-X-TARGETDURATION`.
    pub listed: usize,
    /// Segments that can still be fetched after they left the list. RFC 8216 asks for the
    /// playlist's own length and one more.
    pub kept: usize,
    /// Bytes of media that one stream may hold; its oldest segments go first.
    pub max_bytes_per_stream: usize,
    /// Bytes of media that all streams together may hold. Beyond it what ended goes first, then
    /// what is no longer listed, then the oldest that is; new results of transcoders become
    /// gaps before a live playlist falls below three target durations. New streams are refused
    /// when those that are live need it all.
    pub max_bytes: usize,
    /// How long a stream that ended can still be played.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Also offer `muxed.m3u8`, whose renditions carry their audio inside, for old players.
    pub muxed: bool,
    /// `max-age` of media playlists; half a target duration suits a CDN. Whole seconds.
    #[serde(with = "humantime_serde")]
    pub playlist_max_age: Duration,
    /// `max-age` of master playlists. Whole seconds.
    #[serde(with = "humantime_serde")]
    pub master_max_age: Duration,
    /// `max-age` of segments, which never change. Whole seconds.
    #[serde(with = "humantime_serde")]
    pub segment_max_age: Duration,
    /// `max-age` of what is not there (yet). Whole seconds.
    #[serde(with = "humantime_serde")]
    pub missing_max_age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listed: 8,
            kept: 9,
            max_bytes_per_stream: 256 << 20,
            max_bytes: 4 << 30,
            retention: Duration::from_secs(60),
            muxed: true,
            playlist_max_age: Duration::from_secs(1),
            master_max_age: Duration::from_secs(3),
            segment_max_age: Duration::from_secs(86_400),
            missing_max_age: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Says what makes no sense.
    ///
    /// # Errors
    /// The first setting that lies out of range, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if !(3..=1000).contains(&self.listed) {
            return Err("origin.listed must lie between 3 and 1000 segments".into());
        }
        if self.kept > 1000 {
            return Err("origin.kept must be at most 1000 segments".into());
        }
        if self.max_bytes_per_stream < 1 << 20 {
            return Err("origin.max_bytes_per_stream must be at least 1 MiB".into());
        }
        if self.max_bytes < self.max_bytes_per_stream {
            return Err("origin.max_bytes must be at least origin.max_bytes_per_stream".into());
        }
        Ok(())
    }
}
