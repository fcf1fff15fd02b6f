//! What a picture and what an audio frame do: each begins the stream, ends a segment, or goes
//! into the one that it belongs to.

use rackcast_segment::media::{AccessUnit, AudioFrame};
use rackcast_segment::time::{Ticks, Timestamp};

use super::open::{Cut, Open};
use super::target::TOLERANCE;
use super::{Segment, Segmenter, SegmenterError, ticks};

impl Segmenter {
    pub(super) fn video(
        &mut self,
        picture: AccessUnit,
        out: &mut Vec<Segment>,
    ) -> Result<(), SegmenterError> {
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
        self.sound_at_picture = None;
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

    pub(super) fn audio(
        &mut self,
        frame: AudioFrame,
        out: &mut Vec<Segment>,
    ) -> Result<(), SegmenterError> {
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
        let before = self.last_audio.unwrap_or(frame.pts);
        let since = *self.sound_at_picture.get_or_insert(before);
        let lag = ticks(self.config.video_lag);
        match with_video {
            Some(true) if frame.pts - since > lag => self.overrun(frame.pts - lag, out),
            Some(true) => {}
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
            None if !self.had_video => self.config.video_wait,
            _ => self.config.max_target,
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

    /// Audio that is announced after the first picture belongs to the stream all the same.
    pub(super) fn adopt_audio(&mut self) {
        if let Some(open) = self.open.as_mut().filter(|_| self.opening)
            && open.audio_config.is_none()
        {
            open.audio_config.clone_from(&self.audio_config);
        }
    }

    pub(super) fn take_early(&mut self, start: Timestamp) {
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
