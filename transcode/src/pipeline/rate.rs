//! The frame rate that encoders are told.
//!
//! The mean rate of a segment wavers: RTMP rounds times to milliseconds, a cut falls a frame
//! earlier or later. An encoder writes the rate that it is told into its parameter sets, and a
//! warm pipeline is bound to it, so a wavering rate would rebuild the pipeline and change the
//! parameter sets at every segment. Rate control goes by timestamps and loses nothing.

use rackcast_segment::shape::Ratio;
use rackcast_segment::wire::job::Source;

/// Rates of cameras and films, in frames a second.
const USUAL: [(u32, u32); 14] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (100, 1),
    (120, 1),
];
/// How far a measured rate may lie from a stated or usual one to be taken for it.
const TOLERANCE: f64 = 0.02;

/// The rate that the source states if its pictures come at that rate, else the nearest usual
/// one, else whole frames a second.
pub(super) fn nominal(source: &Source) -> Ratio {
    let mean = source.frame_rate.as_f64();
    let error = |r: &Ratio| (r.as_f64() / mean - 1.0).abs();
    if let Some(stated) = source.format.frame_rate.filter(|r| error(r) < TOLERANCE) {
        return stated;
    }
    USUAL
        .iter()
        .filter_map(|(num, den)| Ratio::new(*num, *den))
        .min_by(|a, b| error(a).total_cmp(&error(b)))
        .filter(|r| error(r) < TOLERANCE)
        .or_else(|| Ratio::new(mean.round().clamp(1.0, 1000.0) as u32, 1))
        .unwrap_or(Ratio::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_segment::media::VideoFormat;
    use rackcast_segment::shape::Colour;
    use rackcast_segment::time::{Ticks, Timestamp};

    fn rate(stated: Option<(u32, u32)>, mean: (u32, u32)) -> (u32, u32) {
        let ratio = |(n, d)| Ratio::new(n, d).unwrap();
        nominal(&Source {
            format: VideoFormat {
                width: 2,
                height: 2,
                profile_idc: 100,
                constraints: 0,
                level_idc: 10,
                frame_rate: stated.map(ratio),
                sample_aspect: Ratio::ONE,
                colour: Colour::default(),
                interlaced: false,
            },
            frames: 1,
            frame_rate: ratio(mean),
            first_pts: Timestamp(0),
            last_pts: Timestamp(0),
            duration: Ticks(1),
            bytes: 1,
        })
        .into()
    }

    #[test]
    fn a_wavering_mean_is_one_rate() {
        for mean in [(2_997, 100), (2_990, 100), (30_000, 1001)] {
            assert_eq!(rate(Some((30_000, 1001)), mean), (30_000, 1001));
        }
        assert_eq!(rate(None, (30_001, 1000)), (30, 1));
        assert_eq!(rate(None, (59_950, 1000)), (60_000, 1001));
    }

    #[test]
    fn a_rate_that_the_pictures_contradict_is_not_believed() {
        assert_eq!(rate(Some((60, 1)), (25, 1)), (25, 1));
        assert_eq!(rate(Some((60, 1)), (71, 10)), (7, 1));
        assert_eq!(rate(None, (1, 10)), (1, 1));
    }
}
