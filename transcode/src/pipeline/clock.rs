//! GStreamer counts nanoseconds, a segment counts 1/90000 s, and nothing may be lost between.
//!
//! A tick is 11111.1 ns: rounding to the nearest nanosecond and back to the nearest tick is
//! exact for every tick.

use gstreamer::ClockTime;
use rackcast_segment::time::Ticks;

/// The nanosecond nearest to a distance; zero where it is negative.
pub(super) fn to_clock(ticks: Ticks) -> ClockTime {
    let ticks = u64::try_from(ticks.0).unwrap_or(0);
    let ns = (u128::from(ticks) * 100_000 + 4) / 9;
    ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(u64::MAX - 1))
}

/// The tick nearest to a running time.
pub(super) fn to_ticks(clock: ClockTime) -> Ticks {
    let ticks = (u128::from(clock.nseconds()) * 9 + 50_000) / 100_000;
    Ticks(i64::try_from(ticks).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_survives_the_way_there_and_back() {
        let far = 1 << 40;
        for t in (0..200_000).chain(far..far + 200_000) {
            assert_eq!(to_ticks(to_clock(Ticks(t))), Ticks(t));
        }
    }
}
