//! Cuts a stream into segments at keyframes; pure.
//!
//! A segment ends at the first keyframe (IDR; a recovery point is none) at or after the
//! target, and the next one begins there: durations are differences of starts, so they add up
//! without drift. What makes it act is only the media's own time.
//!
//! - **Start.** Pictures before the first IDR are dropped, and so is audio that lies before
//!   it. A stream that shows no video for `video_wait` is an audio-only one, cut at audio
//!   frames on the grid of the target. The first segment waits until the target duration is
//!   known (`target.rs` says how long that is).
//! - **Audio** goes into the segment whose time it belongs to. When the video is cut, the
//!   segment waits for its last audio until audio of the next one comes, or the video is
//!   `audio_wait` ahead of it: audio that lags further holds nothing up and goes into the
//!   segment that is open when it comes.
//! - **No keyframe in time.** A segment that reached the target duration and half a second
//!   (what players round down) without ending is cut at the last keyframe inside it, if there
//!   is one, and else at the target duration itself, between two pictures: the next piece is
//!   not `independent`, and the next IDR ends it, however short it is.
//! - **Stalled video.** Once audio is `video_lag` ahead its clock drives the same rule, so
//!   that the audio goes on; pieces without a picture are gaps in every video rendition.
//! - **Change of configuration.** The next IDR ends the segment and begins a discontinuity; a
//!   picture coded anew before that is dropped, audio coded anew waits for it.
//! - **A jump** forward by more than `max_pause` is a discontinuity; a clock that stands or
//!   runs back drops what it stamps.
//! - **Limits.** A segment that reaches `max_bytes` or `max_frames` is cut where it stands.

mod config;
mod open;
mod target;
#[cfg(test)]
mod tests;

pub use config::Config;

use std::collections::VecDeque;
use std::sync::Arc;

use rackcast_segment::id::Sequence;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig};
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks, Timestamp};

use open::{Cut, Open};
use target::{TOLERANCE, Target};

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
    /// The next segment to begin does not follow from what was before.
    discontinuity: bool,
    last_dts: Option<Timestamp>,
    last_pts: Option<Timestamp>,
    last_audio: Option<Timestamp>,
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
            discontinuity: false,
            last_dts: None,
            last_pts: None,
            last_audio: None,
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
            let end = open.natural_end();
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
        self.video_config = None;
        self.audio_config = None;
        self.last_dts = None;
        self.last_pts = None;
        self.last_audio = None;
        self.discontinuity = true;
    }

    /// The number that the next segment to be given away will have.
    pub fn next_sequence(&self) -> Sequence {
        self.held.first().map_or(self.next, |s| s.sequence)
    }

    fn video(&mut self, picture: AccessUnit, out: &mut Vec<Segment>) -> Result<(), SegmenterError> {
        if self.video_config.is_none() {
            return Err(SegmenterError::NoConfig);
        }
        if picture.pts < picture.dts {
            return Err(SegmenterError::ShownBeforeDecoded(picture.pts, picture.dts));
        }
        if let Some(last) = self.last_dts.filter(|last| picture.dts <= *last) {
            return Err(SegmenterError::VideoBackwards(picture.dts, last));
        }
        let heard = self.last_pts.max(self.last_audio);
        if heard.is_some_and(|heard| picture.pts - heard > self.max_pause()) {
            self.jump(out);
        }
        self.overrun(picture.pts, out);
        if picture.idr {
            self.keyframe(picture.pts, out);
        }
        self.last_dts = Some(picture.dts);
        self.last_pts = self.last_pts.max(Some(picture.pts));
        // What is coded anew has nothing to stand on before its own IDR.
        let open = self.open.as_ref();
        if open.is_some_and(|open| open.video_config == self.video_config) {
            self.make_room(&picture, out);
            if let Some(open) = &mut self.open {
                open.push_video(picture);
            }
        }
        self.close_if_heard(out);
        Ok(())
    }

    /// An IDR begins the stream, or ends the open segment if that is due.
    fn keyframe(&mut self, pts: Timestamp, out: &mut Vec<Segment>) {
        self.target.keyframe(pts);
        let Some(open) = &self.open else {
            return self.begin(pts);
        };
        let changed = self.changed(open);
        let follows = pts > open.start;
        let due = pts + TOLERANCE >= open.due || !open.independent();
        if changed || (follows && due) {
            let at = pts.max(open.start + Ticks(1));
            let picture = open.video.len();
            self.cut(Cut { picture, at }, out);
            if changed {
                self.reconfigure(at);
            }
        }
        self.target.settle(self.config.max_target);
        self.release(out);
    }

    fn audio(&mut self, frame: AudioFrame, out: &mut Vec<Segment>) -> Result<(), SegmenterError> {
        if self.audio_config.is_none() {
            return Err(SegmenterError::NoConfig);
        }
        if let Some(last) = self.last_audio.filter(|last| frame.pts <= *last) {
            return Err(SegmenterError::AudioBackwards(frame.pts, last));
        }
        let with_video = self.open.as_ref().map(Open::has_video);
        let heard = match &self.open {
            Some(open) => Some(open.start).max(self.last_pts),
            None => self.last_audio,
        };
        if let Some(heard) = heard.filter(|heard| frame.pts - *heard > self.max_pause()) {
            if with_video == Some(true) {
                return Err(SegmenterError::AudioAhead(frame.pts, heard));
            }
            self.jump(out);
        }
        match with_video {
            Some(true) => self.overrun(frame.pts - ticks(self.config.video_lag), out),
            Some(false) => self.pace_audio(frame.pts, out),
            None => {}
        }
        let pts = frame.pts;
        self.place(frame)?;
        self.last_audio = Some(pts);
        if self.open.is_none() {
            self.begin_without_video(pts);
        }
        self.close_if_heard(out);
        Ok(())
    }

    /// Puts an audio frame where its time belongs.
    fn place(&mut self, frame: AudioFrame) -> Result<(), SegmenterError> {
        let late = ticks(self.config.audio_late);
        let slot = match (&mut self.closing, &mut self.open) {
            (Some((closing, end)), _) if frame.pts < *end => closing,
            (_, Some(open)) => open,
            (_, None) => return self.wait(frame),
        };
        if slot.audio_config != self.audio_config {
            return self.wait(frame);
        }
        if self.opening && frame.pts < slot.start {
            return Ok(());
        }
        if slot.start - frame.pts > late {
            return Err(SegmenterError::AudioLate(frame.pts, slot.start));
        }
        let bytes = slot.bytes.saturating_add(frame.data.len());
        if slot.audio.len() >= self.config.max_frames || bytes > self.config.max_bytes {
            return Err(SegmenterError::TooMuchAudio);
        }
        slot.push_audio(frame);
        Ok(())
    }

    /// Keeps a frame for the segment that will begin; the oldest go if there are too many.
    fn wait(&mut self, frame: AudioFrame) -> Result<(), SegmenterError> {
        self.early.push_back(frame);
        let mut bytes: usize = self.early.iter().map(|f| f.data.len()).sum();
        while self.early.len() > self.config.max_frames || bytes > self.config.max_bytes {
            let Some(oldest) = self.early.pop_front() else {
                break;
            };
            bytes = bytes.saturating_sub(oldest.data.len());
        }
        Ok(())
    }

    /// Cuts an audio-only stream on the grid of the target.
    fn pace_audio(&mut self, pts: Timestamp, out: &mut Vec<Segment>) {
        self.overrun(pts, out);
        let Some(open) = &self.open else { return };
        let changed = open.audio_config != self.audio_config;
        if changed || pts >= open.due {
            let at = pts.max(open.start + Ticks(1));
            self.cut(Cut { picture: 0, at }, out);
            if changed {
                self.reconfigure(at);
            }
        }
    }

    /// Ends the open segment while `now` lies further than the target duration from its start.
    fn overrun(&mut self, now: Timestamp, out: &mut Vec<Segment>) {
        while let Some(open) = &self.open {
            let limit = self.target.limit(self.config.max_target);
            if now - open.start < limit + Ticks(TICKS_PER_SECOND / 2) {
                return;
            }
            let cut = open.overrun_cut(open.start + limit);
            self.target.fix(limit, self.config.max_target);
            self.cut(cut, out);
        }
    }

    /// Ends the open segment if it has no room for one more picture.
    fn make_room(&mut self, picture: &AccessUnit, out: &mut Vec<Segment>) {
        let bytes = |s: &Self| {
            let open = s.open.as_ref().map_or(0, |o| o.bytes);
            open.saturating_add(s.held_bytes)
                .saturating_add(picture.data.len())
        };
        let Some(open) = &self.open else { return };
        let frames = open.video.len();
        if bytes(self) <= self.config.max_bytes && frames < self.config.max_frames {
            return;
        }
        let age = picture.pts - open.start;
        self.target.fix(age, self.config.max_target);
        self.release(out);
        let Some(open) = &self.open else { return };
        let full = bytes(self) > self.config.max_bytes || frames >= self.config.max_frames;
        if full && frames > 0 {
            let here = Cut {
                picture: frames,
                at: picture.dts.max(open.start + Ticks(1)),
            };
            self.cut(open.last_keyframe().unwrap_or(here), out);
        }
    }

    fn cut(&mut self, cut: Cut, out: &mut Vec<Segment>) {
        self.close(out);
        let Some(mut ended) = self.open.take() else {
            return;
        };
        self.open = Some(ended.split(cut, ticks(self.config.target)));
        self.opening = false;
        self.target.segment(cut.at - ended.start);
        self.closing = Some((ended, cut.at));
        self.close_if_heard(out);
    }

    /// Gives the ended segment away if its audio is complete or will not come in time.
    fn close_if_heard(&mut self, out: &mut Vec<Segment>) {
        let Some((ended, end)) = &self.closing else {
            return;
        };
        let wait = ticks(self.config.audio_wait);
        let complete = match (self.last_audio, self.last_dts) {
            _ if ended.audio_config.is_none() => true,
            (None, _) | (_, None) => true,
            (Some(audio), Some(dts)) => audio >= *end || dts - audio > wait,
        };
        if complete {
            self.close(out);
        }
    }

    /// Time jumped: what was begun ends, and what begins is a discontinuity.
    fn jump(&mut self, out: &mut Vec<Segment>) {
        self.discontinuity |= self.open.is_some();
        self.flush(out);
    }

    fn close(&mut self, out: &mut Vec<Segment>) {
        if let Some((ended, end)) = self.closing.take() {
            self.complete(ended, end, out);
        }
    }

    fn complete(&mut self, ended: Open, end: Timestamp, out: &mut Vec<Segment>) {
        let duration = end - ended.start;
        self.held_bytes = self.held_bytes.saturating_add(ended.bytes);
        self.held.push(Segment {
            sequence: self.next,
            start: ended.start,
            duration,
            independent: ended.independent(),
            video: ended.video,
            audio: ended.audio,
            video_config: ended.video_config,
            audio_config: ended.audio_config,
            discontinuity: ended.discontinuity,
            target_duration: 0,
        });
        self.next = self.next.next();
        self.release(out);
    }

    fn release(&mut self, out: &mut Vec<Segment>) {
        if let Some(seconds) = self.target.fixed() {
            self.held_bytes = 0;
            out.extend(self.held.drain(..).map(|segment| Segment {
                target_duration: seconds,
                ..segment
            }));
        }
    }

    fn begin(&mut self, start: Timestamp) {
        self.opening = true;
        self.open = Some(Open {
            start,
            due: start + ticks(self.config.target),
            video: Vec::new(),
            audio: Vec::new(),
            bytes: 0,
            video_config: self.video_config.clone(),
            audio_config: self.audio_config.clone(),
            discontinuity: std::mem::take(&mut self.discontinuity),
        });
        self.take_early(start);
    }

    /// Audio has come for so long that there will be no video.
    fn begin_without_video(&mut self, now: Timestamp) {
        let wait = match self.video_config {
            None => self.config.video_wait,
            Some(_) => self.config.max_target,
        };
        let Some(first) = self.early.front().map(|f| f.pts) else {
            return;
        };
        if now - first >= ticks(wait) {
            let video = self.video_config.take();
            self.begin(first);
            self.video_config = video;
            self.target.fix(Ticks::default(), self.config.max_target);
        }
    }

    /// The open segment, which was just cut off, is the first of a new configuration.
    fn reconfigure(&mut self, start: Timestamp) {
        let Some(open) = &mut self.open else { return };
        open.discontinuity = true;
        open.video_config.clone_from(&self.video_config);
        if open.audio_config != self.audio_config {
            open.audio_config.clone_from(&self.audio_config);
            open.drop_audio();
            self.take_early(start);
        }
    }

    /// Audio that is announced after the first picture belongs to the stream all the same.
    fn adopt_audio(&mut self) {
        if let Some(open) = self.open.as_mut().filter(|_| self.opening)
            && open.audio_config.is_none()
        {
            open.audio_config.clone_from(&self.audio_config);
        }
    }

    fn take_early(&mut self, start: Timestamp) {
        if let Some(open) = &mut self.open {
            for frame in self.early.drain(..).filter(|f| f.pts >= start) {
                open.push_audio(frame);
            }
        }
    }

    fn changed(&self, open: &Open) -> bool {
        open.video_config != self.video_config || open.audio_config != self.audio_config
    }

    fn max_pause(&self) -> Ticks {
        ticks(self.config.max_pause)
    }
}

fn ticks(duration: std::time::Duration) -> Ticks {
    Ticks::from_duration(duration)
}
