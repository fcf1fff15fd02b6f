//! Maps the timestamps of one publisher after another onto one timeline.
//!
//! Every publication counts from its own start. The epoch's timeline must never step back and
//! must keep its distance to the wall clock, since `EXT-X-PROGRAM-DATE-TIME` is read from it: a
//! publisher that returns after five seconds continues five seconds later.

use std::time::{Instant, SystemTime};

use rackcast_segment::media::MediaEvent;
use rackcast_segment::time::{Ticks, Timestamp};

/// Where an epoch's first picture lies: far enough from zero that no DTS is negative.
pub(super) const ORIGIN: Timestamp = Timestamp(10 * rackcast_segment::time::TICKS_PER_SECOND);

/// The epoch's timeline and where the present publication lies on it.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The wall clock at [`ORIGIN`], both ways of telling it.
    began: Option<(Instant, SystemTime)>,
    /// What is added to the present publication's timestamps.
    offset: Option<Ticks>,
    /// The latest point that was handed out.
    end: Timestamp,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            began: None,
            offset: None,
            end: ORIGIN,
        }
    }
}

impl Timeline {
    /// The next timestamps come from another publication.
    pub(super) fn rebase(&mut self) {
        self.offset = None;
    }

    /// Moves an event onto the epoch's timeline.
    #[must_use]
    pub(super) fn place(
        &mut self,
        event: MediaEvent,
        now: Instant,
        wall: SystemTime,
    ) -> MediaEvent {
        match event {
            MediaEvent::Video(mut picture) => {
                let offset = self.offset_for(picture.dts, now, wall);
                picture.pts = picture.pts + offset;
                picture.dts = picture.dts + offset;
                self.end = self.end.max(picture.pts);
                MediaEvent::Video(picture)
            }
            MediaEvent::Audio(mut frame) => {
                frame.pts = frame.pts + self.offset_for(frame.pts, now, wall);
                self.end = self.end.max(frame.pts);
                MediaEvent::Audio(frame)
            }
            config @ (MediaEvent::VideoConfig(_) | MediaEvent::AudioConfig(_)) => config,
        }
    }

    /// The latest point that was handed out.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    /// The wall clock at a point of the timeline.
    pub(super) fn wall(&self, at: Timestamp) -> SystemTime {
        let began = self.began.map_or(SystemTime::UNIX_EPOCH, |(_, wall)| wall);
        began + (at - ORIGIN).to_duration()
    }

    fn offset_for(&mut self, first: Timestamp, now: Instant, wall: SystemTime) -> Ticks {
        let (began, _) = *self.began.get_or_insert((now, wall));
        *self.offset.get_or_insert_with(|| {
            let by_clock = ORIGIN + Ticks::from_duration(now.saturating_duration_since(began));
            // A publisher that sent ahead of real time has used up what the clock would give.
            let after_last = self.end + RESUME_GAP;
            let start = if self.end == ORIGIN {
                by_clock
            } else {
                by_clock.max(after_last)
            };
            start - first
        })
    }
}

/// The least distance between the last timestamp of a publication and the first of the next:
/// more than the longest B-frame delay, so that DTS cannot step back over the seam.
const RESUME_GAP: Ticks = Ticks::from_millis(500);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use bytes::Bytes;
    use rackcast_segment::media::AudioFrame;

    fn audio(pts: i64) -> MediaEvent {
        MediaEvent::Audio(AudioFrame {
            pts: Timestamp(pts),
            data: Bytes::new(),
        })
    }

    fn pts(event: MediaEvent) -> i64 {
        match event {
            MediaEvent::Audio(frame) => frame.pts.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_publisher_that_returns_continues_by_the_clock() {
        let (mut line, start, wall) = (Timeline::default(), Instant::now(), SystemTime::now());
        assert_eq!(pts(line.place(audio(77), start, wall)), ORIGIN.0);
        assert_eq!(
            pts(line.place(audio(77 + 90_000), start, wall)),
            ORIGIN.0 + 90_000
        );
        line.rebase();
        let later = start + Duration::from_secs(6);
        assert_eq!(
            pts(line.place(audio(5), later, wall)),
            ORIGIN.0 + 6 * 90_000
        );
        assert_eq!(
            line.wall(ORIGIN + Ticks(6 * 90_000)),
            wall + Duration::from_secs(6)
        );
    }

    #[test]
    fn a_publisher_that_ran_ahead_never_steps_back() {
        let (mut line, start, wall) = (Timeline::default(), Instant::now(), SystemTime::now());
        let _ = line.place(audio(0), start, wall);
        let ahead = pts(line.place(audio(900_000), start, wall));
        line.rebase();
        let next = pts(line.place(audio(0), start + Duration::from_secs(1), wall));
        assert_eq!(next, ahead + RESUME_GAP.0);
    }
}
