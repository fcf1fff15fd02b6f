//! What the producer of a stream says of it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rackcast_segment::id::Sequence;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AudioConfig, VideoFormat};
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::{Ticks, Timestamp};

/// What a stream is made of; its tracks and the names of its renditions are fixed for an epoch.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// The publisher's video; `None` in an audio-only stream.
    pub video: Option<SourceVideo>,
    /// The publisher's audio; `None` in a video-only stream.
    pub audio: Option<Arc<AudioConfig>>,
    /// The renditions that transcoders make; empty for source only and audio only.
    pub ladder: Vec<RenditionSpec>,
    /// Shape of a pixel in the ladder's renditions.
    pub sample_aspect: Ratio,
    /// `EXT-X-TARGETDURATION`, seconds. A stream that is carried on keeps the value that its
    /// playlists have, unless that is too small now.
    pub target_duration: u32,
    /// Number of the epoch's first segment. Where the stream is still listed it must be
    /// [`Origin::first_sequence`](super::Origin::first_sequence) or higher.
    pub first_sequence: Sequence,
    /// `EXT-X-DISCONTINUITY-SEQUENCE` to begin with where nothing of the stream is listed: a
    /// value above that of the stream's earlier lives, on whatever ingest.
    pub first_discontinuity: u64,
}

/// The publisher's video.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceVideo {
    /// What its parameter sets say.
    pub format: VideoFormat,
    /// Frames a second, stated or measured, if known. The ladder keeps it, or half of it.
    pub frame_rate: Option<Ratio>,
}

/// What a playlist says of one segment, the same in all renditions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentInfo {
    /// Its number: that of the segment before it plus one.
    pub sequence: Sequence,
    /// Where it begins on the stream's timeline.
    pub start: Timestamp,
    /// How long it is.
    pub duration: Ticks,
    /// It does not follow from the segment before it.
    pub discontinuity: bool,
    /// It begins with an IDR. If not, it is a gap in every rendition but the source.
    pub independent: bool,
    /// When its first picture was taken, as well as the ingest knows.
    pub program_date_time: SystemTime,
}

/// What became of one segment in one rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// Verified media.
    Media(Bytes),
    /// It did not come by its deadline.
    Gap,
}
