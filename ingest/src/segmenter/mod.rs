//! Cuts a stream into segments at keyframes; pure.
//!
//! A segment ends at the first keyframe (IDR; a recovery point is none) at or after the
//! target, and the next one begins there: durations are differences of starts, so they add up
//! without drift. What makes it act is only the media's own time.
//!
//! - **Start.** Pictures before the first IDR are dropped, and so is audio that lies before
//!   it. A stream that shows no video for `video_wait` (or `max_target`, if it had video before its
//!   publisher returned) is an audio-only one, cut at audio frames on the grid of the target. The first segment waits until the target duration is
//!   known (`target.rs` says how long that is).
//! - **Audio** goes into the segment whose time it belongs to. When the video is cut, the
//!   segment waits for its last audio until audio of the next one comes, or the video is
//!   `audio_wait` ahead of it: audio that lags further holds nothing up and goes into the
//!   segment that is open when it comes.
//! - **No keyframe in time.** A segment that reached the target duration and half a second
//!   (what players round down) without ending is cut at the last keyframe inside it, if there
//!   is one, and else at the target duration itself, between two pictures: the next piece is
//!   not `independent`, and the next IDR ends it, however short it is.
//! - **Stalled video.** Once audio has gone on by `video_lag` without a picture its clock drives
//!   the same rule, so that the audio goes on; pieces without a picture are gaps in every video
//!   rendition. Audio that is sent earlier than the pictures of its time is no stall.
//! - **Change of configuration.** The next IDR ends the segment and begins a discontinuity; a
//!   picture coded anew before that is dropped, audio coded anew waits for it.
//! - **A jump** forward by more than `max_pause` is a discontinuity; a clock that stands or
//!   runs back drops what it stamps.
//! - **Limits.** A segment that reaches `max_bytes` or `max_frames` is cut where it stands.

mod config;
mod cutting;
mod intake;
mod open;
mod target;
#[cfg(test)]
mod tests;

pub use config::Config;

use std::collections::VecDeque;
use std::sync::Arc;

use rackcast_segment::id::Sequence;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig};
use rackcast_segment::time::{Ticks, Timestamp};

use open::Open;
use target::Target;

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
    /// `EXT-X-TARGETDURATION` in seconds; the same from the first segment on.
    pub target_duration: u32,
}

/// Why an event was dropped. Nothing else changed; the same event again has the same fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmenterError {
    /// A picture or an audio frame came before its configuration.
    #[error("media came before its configuration")]
    NoConfig,
    /// A picture's decoding time is not above that of the one before.
    #[error("decoding time {0:?} does not follow {1:?}: the publisher's clock stands or runs back")]
    VideoBackwards(Timestamp, Timestamp),
    /// A picture is to be shown before it is decoded.
    #[error("presentation time {0:?} lies before decoding time {1:?}")]
    ShownBeforeDecoded(Timestamp, Timestamp),
    /// An audio frame's time is not above that of the one before.
    #[error("audio time {0:?} does not follow {1:?}: the publisher's clock stands or runs back")]
    AudioBackwards(Timestamp, Timestamp),
    /// An audio frame came long after its segment was given away.
    #[error("audio at {0:?} came after the segment from {1:?} on had begun")]
    AudioLate(Timestamp, Timestamp),
    /// An audio frame lies so far ahead of the video that it cannot belong to it.
    #[error("audio at {0:?} lies too far ahead of the segment from {1:?} on")]
    AudioAhead(Timestamp, Timestamp),
    /// A segment has as much audio as it may have.
    #[error("too much audio for one segment")]
    TooMuchAudio,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Segmenter {
    config: Config,
    next: Sequence,
    target: Target,
    /// As announced last; a segment takes them over when it begins.
    video_config: Option<Arc<VideoConfig>>,
    audio_config: Option<Arc<AudioConfig>>,
    /// A publication before this one had video.
    had_video: bool,
    /// The next segment to begin does not follow from what was before.
    discontinuity: bool,
    last_dts: Option<Timestamp>,
    last_pts: Option<Timestamp>,
    last_audio: Option<Timestamp>,
    /// The latest audio when the last picture came; `None` if none has come since.
    sound_at_picture: Option<Timestamp>,
    /// Audio that waits for a segment that it can go into.
    early: VecDeque<AudioFrame>,
    /// Being filled.
    open: Option<Open>,
    /// No cut since the stream began or came back.
    opening: bool,
    /// Ended, waiting for its last audio.
    closing: Option<(Open, Timestamp)>,
    /// Complete, waiting for the target duration.
    held: Vec<Segment>,
    held_bytes: usize,
}

impl Segmenter {
    /// A segmenter whose first segment has the number `first`.
    pub fn new(config: Config, first: Sequence) -> Self {
        Self {
            target: Target::new(config.target),
            config,
            next: first,
            video_config: None,
            audio_config: None,
            had_video: false,
            discontinuity: false,
            last_dts: None,
            last_pts: None,
            last_audio: None,
            sound_at_picture: None,
            early: VecDeque::new(),
            open: None,
            opening: true,
            closing: None,
            held: Vec::new(),
            held_bytes: 0,
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
        match event {
            MediaEvent::VideoConfig(config) => {
                if self.video_config.as_deref() != Some(&config) {
                    self.video_config = Some(Arc::new(config));
                }
                Ok(())
            }
            MediaEvent::AudioConfig(config) => {
                if self.audio_config.as_deref() != Some(&config) {
                    self.audio_config = Some(Arc::new(config));
                    self.adopt_audio();
                }
                Ok(())
            }
            MediaEvent::Video(picture) => self.video(picture, out),
            MediaEvent::Audio(frame) => self.audio(frame, out),
        }
    }

    /// The publisher ended or was lost: gives away what was begun.
    pub fn flush(&mut self, out: &mut Vec<Segment>) {
        self.close(out);
        if let Some(open) = self.open.take().filter(|open| !open.is_empty()) {
            let end = open.natural_end(self.target.limit(self.config.max_target));
            self.target.fix(end - open.start, self.config.max_target);
            self.complete(open, end, out);
        }
        if !self.held.is_empty() {
            self.target.fix(Ticks::default(), self.config.max_target);
        }
        self.release(out);
        self.early.clear();
    }

    /// A publisher came back after a [`flush`](Self::flush): its configurations are expected
    /// anew, its timestamps go on above those before, and the next segment is a discontinuity.
    pub fn resume(&mut self) {
        self.had_video |= self.video_config.is_some();
        self.video_config = None;
        self.audio_config = None;
        self.last_dts = None;
        self.last_pts = None;
        self.last_audio = None;
        self.sound_at_picture = None;
        self.discontinuity = true;
    }

    /// The next segment to be given away gets this number, unless it has a higher one already.
    pub fn skip_to(&mut self, sequence: Sequence) {
        let by = sequence.0.saturating_sub(self.next_sequence().0);
        let skip = |number: &mut Sequence| number.0 = number.0.saturating_add(by);
        self.held.iter_mut().for_each(|s| skip(&mut s.sequence));
        skip(&mut self.next);
    }

    /// The number that the next segment to be given away will have.
    pub fn next_sequence(&self) -> Sequence {
        self.held.first().map_or(self.next, |s| s.sequence)
    }
}

fn ticks(duration: std::time::Duration) -> Ticks {
    Ticks::from_duration(duration)
}
