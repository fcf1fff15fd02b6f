//! The choice of a stream's shape, once, from its first GOP.

use crate::media::VideoFormat;
use crate::time::{TICKS_PER_SECOND, Ticks, Timestamp};

use super::Shape;

/// The reordering that renditions are allowed by default: B-frames and a pyramid of them, as
/// x264's presets and NVENC use.
pub const REORDER_DEPTH: u8 = 2;
/// The longest distance of two frames that the offset makes room for.
pub const MAX_INTERVAL: Ticks = Ticks::from_millis(200);
/// Frames a second of a stream that says nothing and shows nothing of its rate.
const FALLBACK_RATE: i64 = 25;

impl Shape {
    /// Chooses the shape of all renditions of a stream.
    ///
    /// `pts` are the frames of the first GOP, in any order; `reorder_depth` is what the
    /// encoders may use: [`REORDER_DEPTH`], or 0 if no rendition has B-frames.
    ///
    /// The DTS offset is `reorder_depth` frame intervals, so that a frame that is decoded
    /// early by so many frames still has a DTS below its PTS. The interval is the largest
    /// distance of two neighbouring frames, because timestamps jitter (RTMP rounds to
    /// milliseconds) and the rate may vary. One hole in a steady stream should not delay it
    /// for ever, though, so the interval is at most twice the median distance, and never above
    /// [`MAX_INTERVAL`]. A later, larger distance does no harm: [`super::assign_dts`] lowers
    /// DTS where the offset has no room.
    pub fn choose(source: &VideoFormat, pts: &[Timestamp], reorder_depth: u8) -> Self {
        let interval = interval(pts).unwrap_or_else(|| match source.frame_rate {
            Some(rate) => Ticks((TICKS_PER_SECOND as f64 / rate.as_f64()).ceil() as i64),
            None => Ticks(TICKS_PER_SECOND / FALLBACK_RATE),
        });
        let interval = interval.clamp(Ticks(1), MAX_INTERVAL);
        Self {
            reorder_depth,
            dts_offset: Ticks(interval.0 * i64::from(reorder_depth)),
            colour: source.colour,
            sample_aspect: source.sample_aspect,
        }
    }
}

fn interval(pts: &[Timestamp]) -> Option<Ticks> {
    let mut pts = pts.to_vec();
    pts.sort_unstable();
    pts.dedup();
    let mut gaps: Vec<Ticks> = pts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let (largest, median) = (*gaps.last()?, *gaps.get(gaps.len() / 2)?);
    Some(largest.min(Ticks(median.0.saturating_mul(2))))
}

#[cfg(test)]
mod tests {
    use super::super::{Colour, Ratio};
    use super::*;

    fn source(rate: Option<Ratio>) -> VideoFormat {
        VideoFormat {
            width: 640,
            height: 360,
            profile_idc: 100,
            constraints: 0,
            level_idc: 30,
            frame_rate: rate,
            sample_aspect: Ratio::ONE,
            colour: Colour::default(),
            interlaced: false,
            samples: Default::default(),
            codec: Default::default(),
        }
    }

    fn offset(ticks: &[i64]) -> i64 {
        let pts: Vec<_> = ticks.iter().copied().map(Timestamp).collect();
        Shape::choose(&source(None), &pts, 2).dts_offset.0
    }

    #[test]
    fn jitter_is_covered_and_a_hole_is_not() {
        assert_eq!(
            offset(&[0, 2_970, 6_030, 9_000]),
            2 * 3_060,
            "milliseconds of 30 a second"
        );
        assert_eq!(
            offset(&[6_030, 0, 9_000, 2_970]),
            2 * 3_060,
            "decoding order"
        );
        assert_eq!(offset(&[0, 3_000, 6_000, 66_000, 69_000]), 2 * 6_000);
        assert_eq!(offset(&[0, 90_000, 180_000]), 2 * MAX_INTERVAL.0);
    }

    #[test]
    fn one_frame_falls_back_to_the_stated_rate() {
        assert_eq!(offset(&[0]), 2 * 3_600);
        let shape = Shape::choose(&source(Ratio::new(30_000, 1_001)), &[], 2);
        assert_eq!(shape.dts_offset, Ticks(2 * 3_003));
        assert_eq!(Shape::choose(&source(None), &[], 0).dts_offset, Ticks(0));
    }
}
