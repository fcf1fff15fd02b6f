//! From a publisher's milliseconds to the 90 kHz timeline.
//!
//! RTMP stamps every message with 32 bits of milliseconds. They wrap; they are rounded, so
//! that audio frames seem to lie unevenly and fast video may share a stamp; and some
//! publishers set them back, when a file that they loop begins anew, or far ahead. What comes
//! out here is wrap-free, never steps back, and keeps audio and video together: a clock that
//! was set anew moves both tracks by the same amount.

use std::time::Duration;

use rackcast_segment::time::{TICKS_PER_SECOND, Ticks, Timestamp, Unwrap};

/// Where a publication's first sample lies.
pub const ORIGIN: Timestamp = Timestamp(10 * TICKS_PER_SECOND);
/// A step back of no more than this is jitter.
const JITTER: Ticks = Ticks::from_millis(100);
/// How far before the first track the other may begin.
const HEAD_START: Ticks = Ticks::from_millis(5_000);
/// A track that lies further behind the other was silent, and not only interleaved coarsely.
const SILENCE: Ticks = Ticks::from_millis(5_000);
/// The distance between two samples, as long as none is known.
const INTERVAL: Ticks = Ticks::from_millis(20);
/// Samples in an AAC frame.
const FRAME: i64 = 1024;

/// The clock of one connection.
#[derive(Debug)]
pub struct Clock {
    unwrap: Unwrap<32>,
    max_gap: Ticks,
    /// What the track that was moved last adds to the publisher's time.
    offset: Option<Ticks>,
    /// The latest sample of any track.
    latest: Timestamp,
}

/// One track's place on the clock.
#[derive(Debug, Default)]
pub struct Track {
    offset: Option<Ticks>,
    last: Option<Timestamp>,
    interval: Option<Ticks>,
}

/// A sample's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Where the publisher puts it; may lie before the last one by its jitter.
    pub at: Timestamp,
    /// The publisher's clock was set anew just before, by this much.
    pub step: Option<Ticks>,
}

impl Clock {
    /// A step forward of more than `max_gap` is a clock set anew, and not a gap.
    pub fn new(max_gap: Duration) -> Self {
        Self {
            unwrap: Unwrap::default(),
            max_gap: Ticks::from_duration(max_gap),
            offset: None,
            latest: ORIGIN,
        }
    }

    /// Places a sample with the publisher's timestamp.
    pub fn place(&mut self, track: &mut Track, millis: u32) -> Placed {
        let sent = Timestamp::from_millis(self.unwrap.unwrap(u64::from(millis)));
        let silent = track.last.is_some_and(|last| self.latest - last > SILENCE);
        let earliest = match track.last {
            Some(last) => last - JITTER,
            None => self.latest - HEAD_START,
        };
        // A track may pause for as long as the other goes on.
        let window = earliest..=(self.latest + self.max_gap);
        let mut known = [track.offset, self.offset];
        if silent {
            // The clock may have been set anew meanwhile.
            known.reverse();
        }
        let fitting = known
            .into_iter()
            .flatten()
            .find(|offset| window.contains(&(sent + *offset)));
        let before = track.last.filter(|_| !silent).unwrap_or(self.latest);
        let offset = match (fitting, self.offset) {
            (Some(offset), _) => offset,
            (None, None) => ORIGIN - sent,
            (None, Some(_)) => before + track.interval.unwrap_or(INTERVAL) - sent,
        };
        let at = sent + offset;
        // The first sample of a track sets nothing anew, wherever it lies.
        let step = track
            .offset
            .filter(|old| *old != offset)
            .map(|old| offset - old);
        track.offset = Some(offset);
        if fitting.is_none() {
            self.offset = Some(offset);
        }
        if let Some(interval) = track.last.map(|last| at - last)
            && (Ticks(1)..=Ticks::from_millis(1000)).contains(&interval)
        {
            track.interval = Some(interval);
        }
        track.last = track.last.max(Some(at));
        self.latest = self.latest.max(at);
        Placed { at, step }
    }
}

/// Audio's own measure: frames lie exactly 1024 samples apart.
///
/// While the publisher's rounded timestamps agree, the sample count decides. A lost frame, or
/// a pause, shows as half a frame or more that is missing: then the count begins anew there.
#[derive(Debug)]
pub struct SampleGrid {
    rate: i64,
    anchor: Option<Timestamp>,
    frames: i64,
}

impl SampleGrid {
    /// For a rate in samples a second.
    pub fn new(rate: u32) -> Self {
        Self {
            rate: i64::from(rate.max(1)),
            anchor: None,
            frames: 0,
        }
    }

    /// When the next frame plays, given when the publisher says so. `None` where the
    /// publisher sends more sound than time passes, and is already ahead by more than its
    /// jitter: this frame has no place.
    pub fn place(&mut self, at: Timestamp) -> Option<Timestamp> {
        let expected = self.anchor.map(|anchor| anchor + self.ticks(self.frames));
        let half = Ticks(self.ticks(1).0 / 2);
        match expected {
            Some(expected) if at <= expected + half => {
                if expected - at > JITTER {
                    return None;
                }
                self.frames = self.frames.saturating_add(1);
                Some(expected)
            }
            _ => {
                self.anchor = Some(at);
                self.frames = 1;
                Some(at)
            }
        }
    }

    fn ticks(&self, frames: i64) -> Ticks {
        let ticks = frames.saturating_mul(FRAME.saturating_mul(TICKS_PER_SECOND));
        Ticks(ticks.checked_div(self.rate).unwrap_or(0))
    }
}
