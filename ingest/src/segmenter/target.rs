//! `EXT-X-TARGETDURATION`: measured once, then fixed.
//!
//! It may never change, and no segment may round to more than it, so it has to be known before
//! the first segment is listed. A publisher's first GOP alone is a bad witness (a scene cut or
//! an encoder that starts up shortens it), so two are measured, and the first segment is held
//! until they are. Where the GOP is at most half the target that costs nothing: both have
//! ended when the first segment ends. Otherwise the first segment waits for one more GOP,
//! `max_target` at the most, and nothing after it waits at all.

use std::time::Duration;

use rackcast_segment::time::{TICKS_PER_SECOND, Ticks, Timestamp};

/// Timestamps that a publisher rounded to milliseconds or took from a clock wobble: by this
/// much a keyframe may come before the target and still end its segment, and a GOP may be
/// longer than a whole second and still not ask for one more. (2.002 s at 29.97 frames a
/// second is a target duration of 2: players round to the nearest second.)
pub(super) const TOLERANCE: Ticks = Ticks(TICKS_PER_SECOND / 10);

/// GOPs that are measured.
const MEASURED_GOPS: u32 = 2;

/// What is known of the target duration.
#[derive(Debug)]
pub(super) enum Target {
    /// Not enough of the stream has been seen.
    Measuring {
        /// The last keyframe.
        keyframe: Option<Timestamp>,
        /// GOPs that ended.
        gops: u32,
        /// Segments that ended.
        segments: u32,
        /// The longest of either.
        longest: Ticks,
    },
    /// Decided, in seconds.
    Fixed(u32),
}

impl Target {
    pub(super) fn new(target: Duration) -> Self {
        Self::Measuring {
            keyframe: None,
            gops: 0,
            segments: 0,
            longest: Ticks::from_duration(target),
        }
    }

    /// Notes a keyframe.
    pub(super) fn keyframe(&mut self, pts: Timestamp) {
        if let Self::Measuring {
            keyframe,
            gops,
            longest,
            ..
        } = self
            && let Some(before) = keyframe.replace(pts)
        {
            *gops = gops.saturating_add(1);
            *longest = (*longest).max(pts - before);
        }
    }

    /// Notes the end of a segment.
    pub(super) fn segment(&mut self, duration: Ticks) {
        if let Self::Measuring {
            segments, longest, ..
        } = self
        {
            *segments = segments.saturating_add(1);
            *longest = (*longest).max(duration);
        }
    }

    /// Decides, if enough was measured.
    pub(super) fn settle(&mut self, max: Duration) {
        if let Self::Measuring { gops, segments, .. } = self
            && *gops >= MEASURED_GOPS
            && *segments > 0
        {
            self.fix(Ticks::default(), max);
        }
    }

    /// Decides now, from what was measured and from `also`.
    pub(super) fn fix(&mut self, also: Ticks, max: Duration) {
        if let Self::Measuring { longest, .. } = self {
            let ticks = (*longest).max(also) - TOLERANCE;
            let seconds = (ticks.0.max(1) as u64).div_ceil(TICKS_PER_SECOND as u64);
            *self = Self::Fixed(u32::try_from(seconds.min(max.as_secs())).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn fixed(&self) -> Option<u32> {
        match self {
            Self::Fixed(seconds) => Some(*seconds),
            Self::Measuring { .. } => None,
        }
    }

    /// Where a segment is cut if no keyframe ends it.
    pub(super) fn limit(&self, max: Duration) -> Ticks {
        match self {
            Self::Fixed(seconds) => Ticks(i64::from(*seconds).saturating_mul(TICKS_PER_SECOND)),
            Self::Measuring { .. } => Ticks::from_duration(max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(8);

    fn decided(gops: &[i64], segments: &[i64]) -> Option<u32> {
        let mut target = Target::new(Duration::from_secs(2));
        let mut at = Timestamp::from_millis(10_000);
        target.keyframe(at);
        for gop in gops {
            at = at + Ticks::from_millis(*gop);
            target.keyframe(at);
        }
        for segment in segments {
            target.segment(Ticks::from_millis(*segment));
        }
        target.settle(MAX);
        target.fixed()
    }

    #[test]
    fn two_gops_and_a_segment_decide() {
        assert_eq!(decided(&[2000], &[2000]), None);
        assert_eq!(decided(&[500, 500], &[]), None);
        assert_eq!(decided(&[2000, 2000], &[2000]), Some(2));
        assert_eq!(decided(&[500, 3000], &[2000]), Some(3));
        assert_eq!(
            decided(&[1500, 1500], &[3000]),
            Some(3),
            "a segment of two GOPs"
        );
    }

    #[test]
    fn rounding_up_forgives_a_wobble() {
        assert_eq!(decided(&[2002, 2002], &[2002]), Some(2));
        assert_eq!(decided(&[2100, 2000], &[2100]), Some(2));
        assert_eq!(decided(&[2101, 2000], &[2101]), Some(3));
    }

    #[test]
    fn never_above_the_bound() {
        assert_eq!(decided(&[12_000, 2000], &[8000]), Some(8));
    }
}
