//! What a source's format means for its renditions; pure.

use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::VideoFormat;
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::Ticks;

/// Rates that a measured one is taken for when it is this near.
const SNAP: f64 = 0.004;
const COMMON_RATES: [(u32, u32); 12] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (15, 1),
    (20, 1),
    (10, 1),
];

/// The rate of a segment of `frames` pictures over `duration`: what the parameter sets say if
/// the pictures agree, else the nearest common rate, else the mean itself.
pub(super) fn frame_rate(frames: usize, duration: Ticks, stated: Option<Ratio>) -> Ratio {
    let frames = u32::try_from(frames).unwrap_or(u32::MAX).max(1);
    let mean = f64::from(frames) / duration.seconds().max(1e-3);
    let near = |r: &Ratio| (r.as_f64() / mean - 1.0).abs();
    if let Some(stated) = stated.filter(|r| near(r) < SNAP) {
        return stated;
    }
    COMMON_RATES
        .iter()
        .filter_map(|&(num, den)| Ratio::new(num, den))
        .filter(|r| near(r) < SNAP)
        .min_by(|a, b| near(a).total_cmp(&near(b)))
        .or_else(|| Ratio::new((mean * 1000.0).round().clamp(1.0, 1e6) as u32, 1000))
        .unwrap_or(Ratio::ONE)
}

/// The renditions of a source that changed its size in mid-stream: the same names as before,
/// since players hold their playlists, and still never above the source.
pub(super) fn renditions(
    ladder: &Ladder,
    known: &[RenditionSpec],
    format: &VideoFormat,
    rate: Ratio,
) -> Vec<RenditionSpec> {
    let resolved = ladder.resolve(format.width, format.height, rate.as_f64());
    if known.is_empty() {
        return resolved;
    }
    known
        .iter()
        .filter_map(|old| {
            if let Some(same) = resolved.iter().find(|r| r.name == old.name) {
                return Some(same.clone());
            }
            let rung = ladder.rungs().iter().find(|r| r.name == old.name)?.clone();
            let own_size = Ladder::new(vec![rung]).ok()?;
            own_size
                .resolve(format.width, format.height, rate.as_f64())
                .pop()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_recognised_through_millisecond_rounding() {
        let stated = Ratio::new(30_000, 1001);
        assert_eq!(frame_rate(60, Ticks(180_180), stated), stated.unwrap());
        assert_eq!(
            frame_rate(60, Ticks(180_030), None),
            Ratio::new(30, 1).unwrap()
        );
        assert_eq!(
            frame_rate(50, Ticks(180_000), Ratio::new(60, 1)),
            Ratio::new(25, 1).unwrap()
        );
        assert_eq!(frame_rate(7, Ticks(180_000), None).as_f64(), 3.5);
    }
}
