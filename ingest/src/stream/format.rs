//! What a source's format means for its renditions; pure.

use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::VideoFormat;
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::Ticks;

/// The nominal rate of a segment of `frames` pictures over `duration`.
pub(super) fn frame_rate(frames: usize, duration: Ticks, stated: Option<Ratio>) -> Ratio {
    let frames = u32::try_from(frames).unwrap_or(u32::MAX).max(1);
    let mean = f64::from(frames) / duration.seconds().max(1e-3);
    Ratio::nominal_rate(mean, stated)
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
