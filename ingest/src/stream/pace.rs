//! How fast a publisher may send. Pure.
//!
//! What comes faster than it plays would be cut, sent out and kept at that speed: one file that is
//! published as fast as the network carries it could take the fleet's time from all other streams, and
//! push what players have in their lists out of memory. So a stream's media may run ahead of the clock
//! by so much and no more; beyond, the publisher waits, which its connection tells it by not being read.
//!
//! Encoders' clocks are not exact: what runs a little fast is let be. A timestamp that jumps counts for
//! little, since no media was sent for what it left out.

use std::time::{Duration, Instant};

use rackcast_segment::time::Timestamp;

/// A publisher's clock may run fast by this part.
const FAST: f64 = 0.01;
/// The longest step of timestamps that counts in full.
const STEP: Duration = Duration::from_secs(1);

/// How far one publication is ahead.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The latest media, and when the last of it came.
    last: Option<(Timestamp, Instant)>,
    ahead: Duration,
}

impl Pace {
    /// Media up to this point of the timeline has come. Until when no more may, if it is more than
    /// `most` ahead.
    pub(super) fn came(&mut self, to: Timestamp, now: Instant, most: Duration) -> Option<Instant> {
        let (last, at) = *self.last.get_or_insert((to, now));
        let step = (to.max(last) - last).to_duration().min(STEP);
        let passed = now.saturating_duration_since(at).mul_f64(1.0 + FAST);
        self.ahead = self.ahead.saturating_add(step).saturating_sub(passed);
        self.last = Some((to.max(last), now));
        let over = self.ahead.saturating_sub(most);
        (!over.is_zero()).then(|| now + over)
    }
}

#[cfg(test)]
mod tests {
    use rackcast_segment::time::Ticks;

    use super::*;

    const MOST: Duration = Duration::from_secs(10);

    /// Sends so many pictures a second of media `speed` times as fast as they play, and waits when it
    /// has to; the time that this took.
    fn send(pictures: u32, rate: u32, speed: f64) -> Duration {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut at) = (start, Timestamp(900_000));
        for _ in 0..pictures {
            if let Some(until) = pace.came(at, now, MOST) {
                now = until;
            }
            at = at + Ticks(90_000 / i64::from(rate));
            now += Duration::from_secs_f64(1.0 / f64::from(rate) / speed);
        }
        now - start
    }

    #[test]
    fn who_sends_in_time_never_waits() {
        assert_eq!(send(5_000, 25, 1.0).as_secs(), 200);
        let fast = send(50_000, 25, 1.009).as_secs_f64();
        assert!((fast - 2_000.0 / 1.009).abs() < 0.1, "{fast}");
    }

    #[test]
    fn a_burst_comes_at_once_and_the_rest_as_it_plays() {
        assert!(send(250, 25, 1e6) < Duration::from_millis(1));
        let took = send(25 * 110, 25, 1e6).as_secs_f64();
        assert!((took - 100.0 / 1.01).abs() < 0.5, "{took}");
        let took = send(25 * 110, 25, 3.0).as_secs_f64();
        assert!((took - 100.0 / 1.01).abs() < 0.5, "{took}");
    }

    #[test]
    fn jumps_and_steps_back_are_no_speed() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let at = |seconds: i64| Timestamp(seconds * 90_000);
        for seconds in [0, 30, 0, 60, 90, 59] {
            assert_eq!(pace.came(at(seconds), now, MOST), None, "{seconds}");
        }
        assert_eq!(pace.ahead, Duration::from_secs(3));
    }
}
