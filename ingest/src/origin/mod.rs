//! Keeps what was made and serves it as HLS.

mod config;
pub mod http;

pub use config::Config;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId};
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AudioConfig, VideoFormat};
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::{Ticks, Timestamp};

use crate::segmenter::Segment;

/// What a stream is made of; fixed for an epoch.
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
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target_duration: u32,
    /// Number of the epoch's first segment. Where the stream is still listed it must be
    /// [`Origin::next_sequence`] or higher.
    pub first_sequence: Sequence,
    /// `EXT-X-DISCONTINUITY-SEQUENCE` to begin with where nothing of the stream is listed: a
    /// value above that of the stream's earlier lives on whatever ingest.
    pub first_discontinuity: u64,
}

/// The publisher's video.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceVideo {
    /// What its parameter sets say.
    pub format: VideoFormat,
    /// Frames a second, stated or measured, if known.
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

/// All streams that this process serves.
#[derive(Debug)]
pub struct Origin {
    config: Config,
}

impl Origin {
    /// An origin without streams.
    ///
    /// # Errors
    /// If its metrics are registered already.
    pub fn new(config: Config, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let _ = registry;
        Ok(Self { config })
    }

    /// Begins an epoch of a stream. If the stream is still listed, its playlists go on with a
    /// discontinuity, and the segments of the epoch before stay under their own addresses.
    pub fn open(&self, id: StreamId, epoch: Epoch, info: StreamInfo) -> Arc<OriginStream> {
        let _ = (&self.config, info);
        Arc::new(OriginStream { id, epoch })
    }

    /// The number that continues a stream's playlists without a hole, if it is still listed.
    pub fn next_sequence(&self, id: &StreamId) -> Option<Sequence> {
        let _ = id;
        None
    }

    /// Forgets the streams whose retention is over. To be called every second or so.
    pub fn sweep(&self, now: Instant) {
        let _ = now;
    }
}

/// One epoch of a stream, for whoever produces it. Dropping it ends the epoch.
#[derive(Debug)]
pub struct OriginStream {
    id: StreamId,
    epoch: Epoch,
}

impl OriginStream {
    /// The stream.
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Packages a segment as the publisher sent it: the video, which is served as the source
    /// rendition and is also the body of the transcode request, and the audio. To be called
    /// once a segment, in order.
    pub fn package(&self, segment: &Segment) -> (Option<Bytes>, Option<Bytes>) {
        let _ = segment;
        (None, None)
    }

    /// Lists a segment: at once in the source and the audio (a gap where `None`), and in each
    /// other rendition when [`rendition`](Self::rendition) has settled it and all before it.
    pub fn segment(&self, info: SegmentInfo, source: Option<Bytes>, audio: Option<Bytes>) {
        let _ = (info, source, audio);
    }

    /// Settles a segment in one rendition. `false`: it was settled before or is gone, and what
    /// came now is dropped.
    pub fn rendition(&self, sequence: Sequence, name: &RenditionName, rendered: Rendered) -> bool {
        let _ = (sequence, name, rendered);
        false
    }

    /// The stream is over: playlists end once what is outstanding is settled.
    pub fn end(&self) {}
}
