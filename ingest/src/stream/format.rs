//! What a source's format means for its renditions; pure.

use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::VideoFormat;
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::Ticks;

/// Pictures that are enough to measure a rate by: the length of a last one is a guess.
const ENOUGH: usize = 10;
/// Rates in pictures a second that are believed of fewer.
const USUAL: std::ops::RangeInclusive<f64> = 1.0..=120.0;
/// How far a segment's rate may lie from the one that was chosen.
const TOLERANCE: f64 = 0.2;

/// The nominal rate of a segment of `frames` pictures over `duration`.
pub(super) fn frame_rate(frames: usize, duration: Ticks, stated: Option<Ratio>) -> Ratio {
    if let Some(stated) = stated.filter(|rate| frames < ENOUGH && USUAL.contains(&rate.as_f64())) {
        return stated;
    }
    let frames = u32::try_from(frames).unwrap_or(u32::MAX).max(1);
    let mean = f64::from(frames) / duration.seconds().max(1e-3);
    Ratio::nominal_rate(mean, stated)
}

/// Whether a segment shows that the chosen rate is another one than the pictures have.
pub(super) fn is_off(chosen: Ratio, frames: usize, duration: Ticks) -> bool {
    let now = frame_rate(frames, duration, None).as_f64();
    frames >= ENOUGH && (now / chosen.as_f64() - 1.0).abs() > TOLERANCE
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
    fn few_pictures_do_not_contradict_what_is_stated() {
        let (stated, second) = (Ratio::new(60, 1), Ticks(90_000));
        assert_eq!(Some(frame_rate(1, Ticks(3600), stated)), stated);
        assert_eq!(Some(frame_rate(25, second, stated)), Ratio::new(25, 1));
        assert_eq!(Some(frame_rate(1, Ticks(3600), None)), Ratio::new(25, 1));
        let odd = Ratio::new(90_000, 1);
        assert_eq!(Some(frame_rate(1, Ticks(3600), odd)), Ratio::new(25, 1));
    }

    #[test]
    fn a_rate_that_was_chosen_in_the_dark_is_seen_to_be_off() {
        let (dark, two) = (Ratio::new(15, 1).unwrap(), Ticks(180_000));
        assert!(is_off(dark, 60, two));
        assert!(!is_off(dark, 30, two) && !is_off(dark, 27, two));
        assert!(!is_off(dark, 3, Ticks(9_000)), "too few to tell");
    }

    #[test]
    fn a_rendition_above_a_source_that_shrank_keeps_its_name() {
        let rate = Ratio::new(25, 1).unwrap();
        let format = |height: u32| VideoFormat {
            width: height * 16 / 9,
            height,
            profile_idc: 100,
            constraints: 0,
            level_idc: 31,
            frame_rate: None,
            sample_aspect: Ratio::ONE,
            colour: Default::default(),
            interlaced: false,
            samples: Default::default(),
            codec: Default::default(),
        };
        let ladder: Ladder = "720p@2M,360p@800k".parse().unwrap();
        let before = renditions(&ladder, &[], &format(720), rate);
        let after = renditions(&ladder, &before, &format(540), rate);
        let sizes: Vec<_> = after.iter().map(|r| (r.name.as_str(), r.height)).collect();
        assert_eq!(sizes, [("720p", 540), ("360p", 360)]);
    }
}
