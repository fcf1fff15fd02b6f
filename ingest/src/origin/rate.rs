//! `BANDWIDTH` and `AVERAGE-BANDWIDTH`: what a rendition declares of its bit rate.
//!
//! A player chooses by `BANDWIDTH`, so it must bound what is listed and should not wander. It
//! begins with what the encoder was told (for the source: with what its first segment showed,
//! and a quarter more) and grows, never shrinks, when a stretch of the stream exceeds it; it
//! has two significant digits, so that it grows seldom. A stretch is what RFC 8216 measures:
//! contiguous segments that together last between a half and one and a half target durations.

use std::collections::VecDeque;

use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::rate::{expected_bandwidth, expected_mean};
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks};

/// Room that a rate which was only measured gets.
const HEADROOM: f64 = 1.25;

/// What is declared of a rendition of which nothing is known.
const NOMINAL: f64 = 100_000.0;

/// The bit rate of one rendition.
#[derive(Debug, Default)]
pub(super) struct Rate {
    declared: u64,
    expected_mean: u64,
    bytes: u64,
    ticks: i64,
    recent: VecDeque<(u64, i64)>,
}

impl Rate {
    /// Of a rendition that is encoded to order.
    pub(super) fn of(spec: &RenditionSpec, frame_rate: Option<Ratio>) -> Self {
        Self {
            declared: two_digits(expected_bandwidth(spec, frame_rate)),
            expected_mean: two_digits(expected_mean(spec, frame_rate)),
            ..Self::default()
        }
    }

    /// A bound of every stretch so far, bits a second.
    pub(super) fn peak(&self) -> u64 {
        if self.declared == 0 {
            // Less than a stretch so far.
            return two_digits(NOMINAL.max(rate(self.bytes, self.ticks) * HEADROOM));
        }
        self.declared
    }

    /// The mean so far, bits a second.
    pub(super) fn mean(&self) -> u64 {
        let mean = match self.ticks {
            0 => self.expected_mean,
            ticks => two_digits(rate(self.bytes, ticks)),
        };
        if mean == 0 {
            self.peak()
        } else {
            mean.min(self.peak())
        }
    }

    /// Counts a segment; whether what was declared had to be raised for it. `target` is the target
    /// duration.
    pub(super) fn segment(&mut self, bytes: usize, duration: Ticks, target: Ticks) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.ticks = self.ticks.saturating_add(duration.0);
        self.recent.push_back((bytes, duration.0));
        let longest = target.0.saturating_mul(3) / 2;
        let (mut bytes, mut ticks, mut needed) = (0u64, 0i64, 0);
        let mut peak = 0f64;
        for (b, t) in self.recent.iter().rev() {
            bytes = bytes.saturating_add(*b);
            ticks = ticks.saturating_add(*t);
            if ticks > longest {
                break;
            }
            needed += 1;
            if ticks >= target.0 / 2 {
                peak = peak.max(rate(bytes, ticks));
            }
        }
        while self.recent.len() > needed {
            self.recent.pop_front();
        }
        let raised = peak > self.declared as f64;
        if raised {
            self.declared = two_digits(peak * HEADROOM);
        }
        raised
    }

    /// A gap: what follows is not contiguous with what was before.
    pub(super) fn gap(&mut self) {
        self.recent.clear();
    }
}

fn rate(bytes: u64, ticks: i64) -> f64 {
    bytes as f64 * 8.0 * TICKS_PER_SECOND as f64 / ticks.max(1) as f64
}

/// Rounds up to two significant digits.
fn two_digits(rate: f64) -> u64 {
    let unit = 10f64.powf((rate.max(10.0).log10().floor() - 1.0).max(0.0));
    ((rate / unit).ceil() * unit) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_segment::shape::Profile;

    const TARGET: Ticks = Ticks(180_000);

    #[test]
    fn begins_with_the_order_and_grows_when_exceeded() {
        let spec = RenditionSpec {
            name: "720p".parse().unwrap(),
            width: 1280,
            height: 720,
            bitrate: 2_800_000,
            profile: Profile::High,
            level_idc: 31,
            half_rate: false,
            codec: Default::default(),
        };
        let mut rate = Rate::of(&spec, None);
        assert_eq!((rate.peak(), rate.mean()), (4_400_000, 2_900_000));
        assert!(!rate.segment(1_000_000, TARGET, TARGET));
        assert_eq!((rate.peak(), rate.mean()), (4_400_000, 4_000_000));
        assert!(rate.segment(1_500_000, TARGET, TARGET));
        assert_eq!(rate.peak(), 7_500_000);
        rate.segment(100_000, TARGET, TARGET);
        assert_eq!(rate.peak(), 7_500_000, "and never shrinks");
    }

    #[test]
    fn something_is_declared_before_anything_is_known() {
        let mut rate = Rate::default();
        assert_eq!((rate.peak(), rate.mean()), (100_000, 100_000));
        rate.segment(50_000, Ticks(45_000), TARGET);
        assert_eq!((rate.peak(), rate.mean()), (1_000_000, 800_000));
    }

    #[test]
    fn a_short_piece_is_measured_with_its_neighbours() {
        let mut rate = Rate::default();
        rate.segment(250_000, TARGET, TARGET);
        assert_eq!(rate.peak(), 1_300_000);
        // A keyframe alone: 8 Mb/s for 50 ms, 1.05 Mb/s together with what was before it.
        rate.segment(50_000, Ticks(4_500), TARGET);
        assert_eq!(rate.peak(), 1_300_000);
        rate.gap();
        rate.segment(50_000, Ticks(4_500), TARGET);
        assert_eq!(rate.peak(), 1_300_000);
    }
}
