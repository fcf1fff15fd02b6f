//! The timeline: 90 kHz, 64 bits, monotonic and wrap-free.
//!
//! RTMP counts milliseconds in 32 bits and MPEG-TS counts 90 kHz in 33 bits; both wrap. The
//! protocol layer and the TS reader unwrap at the edge with [`Unwrap`], so nothing inside ever
//! sees a wrap.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Ticks in a second.
pub const TICKS_PER_SECOND: i64 = 90_000;

/// A point on a stream's timeline, in ticks of 1/90000 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A distance on a timeline, in ticks of 1/90000 s. May be negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ticks(pub i64);

impl Timestamp {
    /// From milliseconds on the same timeline.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(90))
    }
}

impl Ticks {
    /// From milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(90))
    }

    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / TICKS_PER_SECOND as f64
    }

    /// As a duration; zero where negative.
    pub fn to_duration(self) -> Duration {
        let ticks = u64::try_from(self.0).unwrap_or(0);
        Duration::from_nanos(u64::try_from(u128::from(ticks) * 100_000 / 9).unwrap_or(u64::MAX))
    }

    /// From a duration, rounded down.
    pub fn from_duration(d: Duration) -> Self {
        Self(i64::try_from(d.as_nanos() * 9 / 100_000).unwrap_or(i64::MAX))
    }
}

impl Add<Ticks> for Timestamp {
    type Output = Self;
    fn add(self, d: Ticks) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}

impl Sub<Ticks> for Timestamp {
    type Output = Self;
    fn sub(self, d: Ticks) -> Self {
        Self(self.0.saturating_sub(d.0))
    }
}

impl Sub for Timestamp {
    type Output = Ticks;
    fn sub(self, other: Self) -> Ticks {
        Ticks(self.0.saturating_sub(other.0))
    }
}

impl Add for Ticks {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Turns a counter of `BITS` bits that wraps into one that does not.
///
/// Each value is taken as the nearest to the one before it, so both a wrap and a step back by
/// less than half the range come out right.
#[derive(Debug, Clone, Default)]
pub struct Unwrap<const BITS: u32> {
    last: Option<i64>,
}

impl<const BITS: u32> Unwrap<BITS> {
    const RANGE: i64 = 1 << BITS;

    /// The value on the wrap-free line; the first value is taken as it is.
    pub fn unwrap(&mut self, raw: u64) -> i64 {
        let raw = i64::try_from(raw % (1u64 << BITS)).unwrap_or(0);
        let value = match self.last {
            None => raw,
            Some(last) => {
                let delta = raw.wrapping_sub(last).rem_euclid(Self::RANGE);
                let delta = if delta >= Self::RANGE / 2 {
                    delta - Self::RANGE
                } else {
                    delta
                };
                last.saturating_add(delta)
            }
        };
        self.last = Some(value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtmp_milliseconds_wrap() {
        let mut u = Unwrap::<32>::default();
        assert_eq!(u.unwrap(0xffff_fff0), 0xffff_fff0);
        assert_eq!(u.unwrap(0x10), 0x1_0000_0010);
        assert_eq!(
            u.unwrap(0xffff_fffe),
            0xffff_fffe,
            "a step back over the wrap"
        );
        assert_eq!(u.unwrap(0x20), 0x1_0000_0020);
    }

    #[test]
    fn ts_clock_wraps_many_times() {
        let mut u = Unwrap::<33>::default();
        let step = 1u64 << 31;
        for i in 0..64u64 {
            assert_eq!(
                u.unwrap((i * step) % (1 << 33)),
                i64::try_from(i * step).unwrap()
            );
        }
    }

    #[test]
    fn ticks_and_durations_agree() {
        assert_eq!(Ticks(180_000).to_duration(), Duration::from_secs(2));
        assert_eq!(
            Ticks::from_duration(Duration::from_millis(40)),
            Ticks(3_600)
        );
        assert_eq!(Ticks(-1).to_duration(), Duration::ZERO);
    }
}
