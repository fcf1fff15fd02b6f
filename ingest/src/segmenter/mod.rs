//! Cuts a stream into segments at keyframes; pure.

mod config;

pub use config::Config;

use std::sync::Arc;

use rackcast_segment::id::Sequence;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig};
use rackcast_segment::time::{Ticks, Timestamp};

/// A stretch of a stream: what one transcode job and one playlist entry are about.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its number; grows by one.
    pub sequence: Sequence,
    /// Where it begins: the presentation time of its first picture, or of its first audio
    /// frame if the stream has no video.
    pub start: Timestamp,
    /// From `start` to the start of the next segment. Positive.
    pub duration: Ticks,
    /// Its pictures in decoding order. Empty while the video stalls, and in audio-only streams.
    pub video: Vec<AccessUnit>,
    /// Its audio frames in order.
    pub audio: Vec<AudioFrame>,
    /// What its pictures were coded with; `None` if the stream has no video.
    pub video_config: Option<Arc<VideoConfig>>,
    /// What its audio was coded with; `None` if the stream has no audio.
    pub audio_config: Option<Arc<AudioConfig>>,
    /// Its timestamps or its coding do not follow from the segment before it.
    pub discontinuity: bool,
    /// It can be decoded without the segment before it: it begins with an IDR picture, or has
    /// no video by nature.
    pub independent: bool,
    /// `EXT-X-TARGETDURATION` in seconds; the same from the first segment of an epoch on.
    pub target_duration: u32,
}

/// Why an event was dropped. Nothing else changed; the same event again has the same fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmenterError {
    /// A picture's decoding time is not above that of the one before.
    #[error("decoding time {0:?} does not follow {1:?}: the publisher's clock stands or runs back")]
    VideoBackwards(Timestamp, Timestamp),
    /// A picture is to be shown before it is decoded.
    #[error("presentation time {0:?} lies before decoding time {1:?}")]
    ShownBeforeDecoded(Timestamp, Timestamp),
    /// An audio frame's time is not above that of the one before.
    #[error("audio time {0:?} does not follow {1:?}")]
    AudioBackwards(Timestamp, Timestamp),
    /// An audio frame came long after its segment was given away.
    #[error("audio at {0:?} came after the segment from {1:?} on had begun")]
    AudioLate(Timestamp, Timestamp),
    /// A picture or an audio frame came before its configuration.
    #[error("media came before its configuration")]
    NoConfig,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Segmenter {
    config: Config,
    next: Sequence,
}

impl Segmenter {
    /// A segmenter whose first segment has the number `first`.
    pub fn new(config: Config, first: Sequence) -> Self {
        Self {
            config,
            next: first,
        }
    }

    /// Takes what the publisher sent and appends the segments that it completed to `out`.
    ///
    /// # Errors
    /// [`SegmenterError`] if the event was dropped; the stream goes on.
    pub fn push(
        &mut self,
        event: MediaEvent,
        out: &mut Vec<Segment>,
    ) -> Result<(), SegmenterError> {
        let _ = (event, out, &self.config, self.next);
        Ok(())
    }

    /// The publisher ended or was lost: gives away what was begun.
    pub fn flush(&mut self, out: &mut Vec<Segment>) {
        let _ = out;
    }

    /// A publisher came back after a [`flush`](Self::flush): its configurations are expected
    /// anew, its timestamps go on above those before, and the next segment is a discontinuity.
    pub fn resume(&mut self) {}

    /// The number of the next segment.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }
}
