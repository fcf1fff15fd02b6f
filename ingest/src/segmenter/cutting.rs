//! How a segment ends, and what becomes of it then: it waits for its last audio, then, if it is
//! among the first, for the target duration, and is given away.

use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks, Timestamp};

use super::open::{Cut, Open};
use super::{Segment, Segmenter, ticks};

impl Segmenter {
    /// Ends the open segment while `now` lies further than the target duration from its start.
    pub(super) fn overrun(&mut self, now: Timestamp, out: &mut Vec<Segment>) {
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
    pub(super) fn make_room(&mut self, picture: &AccessUnit, out: &mut Vec<Segment>) {
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

    /// Time jumped: what was begun ends, and what begins is a discontinuity.
    pub(super) fn jump(&mut self, out: &mut Vec<Segment>) {
        self.discontinuity |= self.open.is_some();
        self.flush(out);
    }

    pub(super) fn cut(&mut self, cut: Cut, out: &mut Vec<Segment>) {
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

    /// The open segment, which was just cut off, is the first of a new configuration.
    pub(super) fn reconfigure(&mut self, start: Timestamp) {
        let Some(open) = &mut self.open else { return };
        open.discontinuity = true;
        open.video_config.clone_from(&self.video_config);
        if open.audio_config != self.audio_config {
            open.audio_config.clone_from(&self.audio_config);
            open.drop_audio();
            self.take_early(start);
        }
    }

    /// Gives the ended segment away if its audio is complete or will not come in time.
    pub(super) fn close_if_heard(&mut self, out: &mut Vec<Segment>) {
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

    pub(super) fn close(&mut self, out: &mut Vec<Segment>) {
        if let Some((ended, end)) = self.closing.take() {
            self.complete(ended, end, out);
        }
    }

    pub(super) fn complete(&mut self, ended: Open, end: Timestamp, out: &mut Vec<Segment>) {
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

    pub(super) fn release(&mut self, out: &mut Vec<Segment>) {
        if let Some(seconds) = self.target.fixed() {
            self.held_bytes = 0;
            out.extend(self.held.drain(..).map(|segment| Segment {
                target_duration: seconds,
                ..segment
            }));
        }
    }
}
