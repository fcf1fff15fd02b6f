//! Decoding times, made from presentation times.
//!
//! Encoders invent DTS each in its own way, and segments of unlike encoders would not fit
//! together. So the encoder's DTS is thrown away: what counts is the order in which it hands
//! out frames. Both the transcode node, which assigns, and the ingest, which verifies, call
//! the same function.

use crate::time::{Ticks, Timestamp};

/// The decoding times of a segment's frames, given their presentation times in decoding order.
///
/// The n-th frame to be decoded gets the n-th smallest PTS less `offset`: a contiguous line
/// from segment to segment, whichever encoder reordered what. Where that would put a DTS above
/// its PTS (deeper reordering than the offset has room for), it and the ones before it are
/// lowered just enough to keep `DTS <= PTS` and DTS strictly growing.
pub fn assign_dts(pts: &[Timestamp], offset: Ticks) -> Vec<Timestamp> {
    let mut dts = pts.to_vec();
    dts.sort_unstable();
    let mut ceiling = Timestamp(i64::MAX);
    for (dts, &pts) in dts.iter_mut().zip(pts).rev() {
        *dts = (*dts - offset).min(pts).min(ceiling);
        ceiling = *dts - Ticks(1);
    }
    dts
}

/// By how many frames decoding order differs from presentation order: the most frames that are
/// decoded before a frame and presented after it. The PTS are in decoding order.
pub fn reorder_depth(pts: &[Timestamp]) -> usize {
    let mut order: Vec<_> = (0..pts.len()).collect();
    order.sort_by_key(|&decoded| pts.get(decoded));
    // A frame overtakes at least as many as it moves forward, and the one that overtakes the
    // most moves forward by exactly those: nothing presented before it is decoded after it.
    let moved = order
        .iter()
        .enumerate()
        .map(|(rank, &decoded)| decoded.saturating_sub(rank));
    moved.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(ticks: &[i64]) -> Vec<Timestamp> {
        ticks.iter().copied().map(Timestamp).collect()
    }

    #[test]
    fn a_normal_gop_is_the_sorted_times_less_the_offset() {
        // I P B B P B B, depth 1; offset for depth 2.
        let pts = times(&[90_000, 99_000, 93_000, 96_000, 108_000, 102_000, 105_000]);
        let dts = assign_dts(&pts, Ticks(6_000));
        let expected = [84_000, 87_000, 90_000, 93_000, 96_000, 99_000, 102_000];
        assert_eq!(dts, times(&expected));
        assert_eq!(reorder_depth(&pts), 1);
    }

    #[test]
    fn too_deep_a_pyramid_is_squeezed() {
        let pts = times(&[100, 500, 300, 200, 400]);
        assert_eq!(reorder_depth(&pts), 2);
        assert_eq!(
            assign_dts(&pts, Ticks(0)),
            times(&[100, 198, 199, 200, 400])
        );
        assert_eq!(assign_dts(&[], Ticks(5)), []);
    }

    proptest! {
        #[test]
        fn dts_grows_stays_below_pts_and_is_lowered_only_as_needed(
            gaps in prop::collection::vec(1i64..10_000, 1..40),
            swaps in prop::collection::vec((0usize..40, 0usize..40), 0..20),
            offset in 0i64..30_000,
        ) {
            let mut at = 900_000;
            let mut pts: Vec<_> = gaps.iter().map(|g| { at += g; Timestamp(at) }).collect();
            let sorted = pts.clone();
            let n = pts.len();
            for (a, b) in swaps {
                pts.swap(a % n, b % n);
            }
            let dts = assign_dts(&pts, Ticks(offset));
            for i in 0..n {
                prop_assert!(dts[i] <= pts[i]);
                prop_assert!(dts[i] <= sorted[i] - Ticks(offset));
                if i + 1 < n {
                    prop_assert!(dts[i] < dts[i + 1]);
                    let free = dts[i] == (sorted[i] - Ticks(offset)).min(pts[i]);
                    prop_assert!(free || dts[i] == dts[i + 1] - Ticks(1));
                }
            }
            let brute = (0..n).map(|i| (0..i).filter(|&j| pts[j] > pts[i]).count()).max();
            prop_assert_eq!(reorder_depth(&pts), brute.unwrap_or(0));
        }
    }
}
