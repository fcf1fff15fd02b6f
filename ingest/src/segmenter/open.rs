//! A segment that is being filled, and where it may be cut.

use std::sync::Arc;

use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, VideoConfig};
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks, Timestamp};

/// The length of a picture where nothing else says it.
const NOMINAL_PICTURE: Ticks = Ticks::from_millis(40);

/// A segment without an end.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) start: Timestamp,
    /// From here on a keyframe, or an audio frame where there is no video, ends it.
    pub(super) due: Timestamp,
    pub(super) video: Vec<AccessUnit>,
    pub(super) audio: Vec<AudioFrame>,
    pub(super) bytes: usize,
    pub(super) video_config: Option<Arc<VideoConfig>>,
    pub(super) audio_config: Option<Arc<AudioConfig>>,
    pub(super) discontinuity: bool,
}

/// A place to cut: the picture (in decoding order) and the time that the next segment begins
/// with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) picture: usize,
    pub(super) at: Timestamp,
}

impl Open {
    pub(super) fn push_video(&mut self, picture: AccessUnit) {
        self.bytes = self.bytes.saturating_add(picture.data.len());
        self.video.push(picture);
    }

    pub(super) fn push_audio(&mut self, frame: AudioFrame) {
        self.bytes = self.bytes.saturating_add(frame.data.len());
        self.audio.push(frame);
    }

    /// Forgets audio that was coded otherwise than the segment says.
    pub(super) fn drop_audio(&mut self) {
        self.bytes = self.bytes.saturating_sub(size(&[], &self.audio));
        self.audio.clear();
    }

    pub(super) fn has_video(&self) -> bool {
        self.video_config.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }

    /// Can be decoded without what came before.
    pub(super) fn independent(&self) -> bool {
        !self.has_video() || self.video.first().is_some_and(|p| p.idr)
    }

    /// Where to cut a segment that no keyframe ended in time: at the last keyframe inside, or
    /// else at the last picture up to `limit` that no earlier one is shown after, or else at
    /// `limit` itself, where the video stands still.
    pub(super) fn overrun_cut(&self, limit: Timestamp) -> Cut {
        self.last_keyframe()
            .or_else(|| self.clean_cut(limit))
            .unwrap_or_else(|| Cut {
                picture: self
                    .video
                    .iter()
                    .position(|p| p.pts >= limit)
                    .unwrap_or(self.video.len()),
                at: limit,
            })
    }

    /// The last keyframe that is not the first picture.
    pub(super) fn last_keyframe(&self) -> Option<Cut> {
        let (picture, p) = self.video.iter().enumerate().rfind(|(_, p)| p.idr)?;
        (picture > 0 && p.pts > self.start).then_some(Cut { picture, at: p.pts })
    }

    fn clean_cut(&self, limit: Timestamp) -> Option<Cut> {
        let shown_last = self.video.iter().map(|p| p.pts).max()?;
        if shown_last < limit {
            return None;
        }
        // The latest time before each picture, then backwards the earliest from it on. What is
        // yet to come is shown after the last decoding time.
        let mut before = Vec::with_capacity(self.video.len());
        let mut latest = self.start;
        for p in &self.video {
            before.push(latest);
            latest = latest.max(p.pts);
        }
        let mut earliest = self.video.last()?.dts + Ticks(1);
        for (picture, (p, before)) in self.video.iter().zip(&before).enumerate().rev() {
            earliest = earliest.min(p.pts);
            if picture > 0 && earliest <= limit && *before < earliest && earliest > self.start {
                return Some(Cut {
                    picture,
                    at: earliest,
                });
            }
        }
        None
    }

    /// Ends at `cut`; what lies behind it is returned as the next segment.
    pub(super) fn split(&mut self, cut: Cut, target: Ticks) -> Self {
        let video = self.video.split_off(cut.picture.min(self.video.len()));
        let (audio, kept) = std::mem::take(&mut self.audio)
            .into_iter()
            .partition(|f| f.pts >= cut.at);
        self.audio = kept;
        let bytes = size(&video, &audio);
        self.bytes = self.bytes.saturating_sub(bytes);
        // Where no video sets the pace, cuts keep to the grid of the target.
        let grid = self.due + target;
        let on_grid = !self.has_video() && cut.at >= self.due && grid > cut.at;
        Self {
            start: cut.at,
            due: if on_grid { grid } else { cut.at + target },
            bytes,
            video,
            audio,
            video_config: self.video_config.clone(),
            audio_config: self.audio_config.clone(),
            discontinuity: false,
        }
    }

    /// Where it ends if nothing follows: its last picture or audio frame and how long that
    /// lasts, but never so late that it rounds to more than `limit`.
    pub(super) fn natural_end(&self, limit: Ticks) -> Timestamp {
        let mut times: Vec<_> = self.video.iter().map(|p| p.pts).collect();
        times.sort_unstable();
        let end = match (times.as_slice(), self.audio.last(), &self.audio_config) {
            ([.., before, last], ..) => *last + (*last - *before),
            ([only], ..) => *only + NOMINAL_PICTURE,
            ([], Some(last), Some(config)) => last.pts + config.frame_duration(),
            ([], ..) => self.start,
        };
        let latest = self.start + limit + Ticks(TICKS_PER_SECOND / 2 - 1);
        end.min(latest).max(self.start + Ticks(1))
    }
}

/// Bytes of payload.
fn size(video: &[AccessUnit], audio: &[AudioFrame]) -> usize {
    let video: usize = video.iter().map(|p| p.data.len()).sum();
    let audio: usize = audio.iter().map(|f| f.data.len()).sum();
    video.saturating_add(audio)
}
