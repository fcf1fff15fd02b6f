//! What an operator may set of the segmenter.

use std::time::Duration;

use serde::Deserialize;

/// Limits and targets of cutting. Times are media time, not wall-clock time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A segment ends at the first keyframe at or after this. 1 s to `max_target`.
    #[serde(with = "humantime_serde")]
    pub target: Duration,
    /// Bound of `EXT-X-TARGETDURATION`, whatever the publisher's first GOPs are. Whole seconds.
    #[serde(with = "humantime_serde")]
    pub max_target: Duration,
    /// How long a segment that ended waits for audio of its own time, counted in the video
    /// that follows it.
    #[serde(with = "humantime_serde")]
    pub audio_wait: Duration,
    /// Audio that comes after its segment was given away goes into the current one if it lies
    /// at most this far before its start, and is dropped otherwise.
    #[serde(with = "humantime_serde")]
    pub audio_late: Duration,
    /// How far the video may lag behind the audio before it counts as stalled and segments
    /// are cut without it.
    #[serde(with = "humantime_serde")]
    pub video_lag: Duration,
    /// How long a stream that began with audio waits for its video before it is taken for an
    /// audio-only one.
    #[serde(with = "humantime_serde")]
    pub video_wait: Duration,
    /// A step forward by more than this is a discontinuity, not a long pause.
    #[serde(with = "humantime_serde")]
    pub max_pause: Duration,
    /// Bytes after which a segment is cut, keyframe or not.
    pub max_bytes: usize,
    /// Pictures after which a segment is cut, keyframe or not; as many audio frames too.
    pub max_frames: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: Duration::from_secs(2),
            max_target: Duration::from_secs(8),
            audio_wait: Duration::from_millis(300),
            audio_late: Duration::from_secs(3),
            video_lag: Duration::from_secs(1),
            video_wait: Duration::from_secs(1),
            max_pause: Duration::from_secs(10),
            max_bytes: 32 << 20,
            max_frames: 2048,
        }
    }
}

impl Config {
    /// Says what makes no sense.
    ///
    /// # Errors
    /// The first setting that contradicts another or lies out of range, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.target < Duration::from_secs(1) || self.target > self.max_target {
            return Err("segmenter.target must lie between 1s and segmenter.max_target".into());
        }
        if self.max_target.subsec_nanos() != 0 || self.max_target > Duration::from_secs(60) {
            return Err("segmenter.max_target must be whole seconds, at most 60s".into());
        }
        if self.max_pause <= self.max_target {
            return Err("segmenter.max_pause must be longer than segmenter.max_target".into());
        }
        if self.max_bytes < 1 << 20 || self.max_frames < 64 {
            return Err(
                "segmenter.max_bytes must be at least 1 MiB and segmenter.max_frames at least 64"
                    .into(),
            );
        }
        Ok(())
    }
}
