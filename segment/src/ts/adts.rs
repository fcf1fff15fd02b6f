//! Audio frames out of PES units. Frames and units need not begin together.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::{Buf, BytesMut};

use crate::aac::AdtsFrame;
use crate::media::{AudioConfig, AudioFrame};
use crate::time::Timestamp;

/// Gives each frame its time: that of the unit in which it begins, plus the frames before it
/// in that unit.
#[derive(Default)]
pub(super) struct Frames {
    config: Option<AudioConfig>,
    /// The time of a frame, and how many came since.
    since: Option<(Timestamp, usize)>,
}

impl Frames {
    /// Something was lost: no time is known until the next unit gives one.
    pub(super) fn interrupt(&mut self) {
        self.since = None;
    }

    /// The configuration of the first frame.
    pub(super) fn into_config(self) -> Option<AudioConfig> {
        self.config
    }

    /// Takes all whole frames off `buffer`; what is left is the beginning of the next one. The
    /// first `carried` bytes are from the unit before; `pts` is this unit's. Returns how many
    /// frames or runs of other bytes were dropped.
    pub(super) fn take(
        &mut self,
        buffer: &mut BytesMut,
        mut carried: usize,
        mut pts: Option<Timestamp>,
        mut found: impl FnMut(AudioFrame),
    ) -> u32 {
        let mut lost = 0u32;
        let mut in_sync = true;
        loop {
            let frame = match AdtsFrame::parse(buffer) {
                Ok(Some(frame)) if frame.len <= buffer.len() => frame,
                Ok(_) => return lost,
                Err(_) => {
                    if in_sync {
                        lost = lost.saturating_add(1);
                        in_sync = false;
                    }
                    let tail = buffer.get(1..).unwrap_or_default();
                    let skip = memchr::memchr(0xff, tail)
                        .unwrap_or(tail.len())
                        .saturating_add(1);
                    buffer.advance(skip.min(buffer.len()));
                    carried = carried.saturating_sub(skip);
                    continue;
                }
            };
            in_sync = true;
            if carried == 0
                && let Some(pts) = pts.take()
            {
                self.since = Some((pts, 0));
            }
            carried = carried.saturating_sub(frame.len);
            let data = buffer.split_to(frame.len).freeze();
            let known = self.config.get_or_insert_with(|| frame.config());
            let same = (known.object_type, known.sample_rate, known.channels)
                == (frame.object_type, frame.sample_rate, frame.channels);
            match &mut self.since {
                Some((first, count)) if same => {
                    let ahead = known.frames_duration(*count);
                    let pts = Timestamp(first.0.saturating_add(ahead.0));
                    *count = count.saturating_add(1);
                    found(AudioFrame {
                        pts,
                        data: data.slice(frame.header..),
                    });
                }
                _ => lost = lost.saturating_add(1),
            }
        }
    }
}
