//! How fast a slot of a device works: as calibrated, corrected by what jobs really take.

use std::time::{Duration, Instant};

use rackcast_segment::wire::job::JobSpec;
use serde::{Deserialize, Serialize};

/// Decoding a pixel costs about this share of encoding one, until a calibration tells.
const DECODE_SHARE: f64 = 0.125;
/// Decoded pixels for each encoded one of the default ladder from a source of its own size.
const LADDER_DECODE: f64 = 0.55;
/// What the newest job says weighs so much against all before it.
const WEIGHT: f64 = 0.2;
/// Mean deviations above the mean by which a job is still expected to be done: about 99 % are.
const DEVIATIONS: f64 = 3.0;
/// A job that should take less tells what every job takes whatever its size; one that takes longer, how
/// fast the device is.
const SMALL: Duration = Duration::from_millis(100);
/// A job does not take more than this whatever its size.
const MOST_FIXED: Duration = Duration::from_millis(250);
/// After so long without a job a measurement is doubted.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// No estimate is longer.
const FOREVER: Duration = Duration::from_secs(3600);

/// What a job costs, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Of the source, all pictures together.
    pub decode: u64,
    /// Of the renditions.
    pub encode: u64,
}

impl From<&JobSpec> for Work {
    fn from(job: &JobSpec) -> Self {
        let format = &job.source.format;
        let pixels = u64::from(format.width) * u64::from(format.height);
        Self {
            decode: pixels.saturating_mul(job.source.frames.into()),
            encode: job.work(),
        }
    }
}

/// Pixels a second of one slot while all slots of its device work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Decoded.
    pub decode: f64,
    /// Scaled and encoded.
    pub encode: f64,
}

impl Rates {
    /// The rates of a slot of which only the encoder's is known.
    pub fn of_encoder(encode: f64) -> Self {
        Self {
            decode: encode / DECODE_SHARE,
            encode,
        }
    }

    /// The rates by which these two jobs, of the same pictures, take so long; none, if the one with
    /// more to encode took no longer.
    pub fn solve((more, long): (Work, Duration), (less, short): (Work, Duration)) -> Option<Self> {
        let seconds = long.checked_sub(short)?.as_secs_f64();
        let encode = more.encode.checked_sub(less.encode)? as f64 / seconds;
        let decoding = short.as_secs_f64() - less.encode as f64 / encode;
        // Too little to be seen is taken to be as usual.
        let rates = match decoding > 0.0 {
            true => Self {
                decode: less.decode as f64 / decoding,
                encode,
            },
            false => Self::of_encoder(encode),
        };
        rates.is_sound().then_some(rates)
    }

    /// Output pixels a second of the default ladder, its source decoded.
    pub fn ladder(self) -> f64 {
        1.0 / (1.0 / self.encode + LADDER_DECODE / self.decode)
    }

    /// Both are numbers that something can be divided by.
    pub fn is_sound(self) -> bool {
        let sound = |rate: f64| rate.is_finite() && rate > 0.0;
        sound(self.decode) && sound(self.encode)
    }

    fn seconds(self, work: Work) -> f64 {
        work.decode as f64 / self.decode + work.encode as f64 / self.encode
    }
}

/// The speed of a device's slots.
///
/// Times follow the rates, times a factor: the exponentially weighted mean of what jobs took
/// over what they should have. A card that heats up raises it within a few jobs, and lowers it
/// again. Small jobs say nothing of that: a node's own test, of eight tiny pictures, takes ten times its
/// pixels. They tell the part that every job takes, which is added. What jobs deviate from it on average is kept beside it, as TCP does for its
/// retransmission timer (Jacobson, *Congestion Avoidance and Control*, 1988): a promise is kept
/// by the mean and some deviations, not by the mean.
#[derive(Debug, Clone, Default)]
pub struct Speed {
    rates: Option<Rates>,
    measured: Option<Measured>,
    /// Seconds of every job, whatever its size.
    fixed: f64,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    factor: f64,
    deviation: f64,
    last: Instant,
}

impl Speed {
    /// Calibrated, or not yet known.
    pub fn new(rates: Option<Rates>) -> Self {
        Self {
            rates: rates.filter(|rates| rates.is_sound()),
            measured: None,
            fixed: 0.0,
        }
    }

    /// A job took so long.
    pub fn observe(&mut self, now: Instant, work: Work, took: Duration) {
        let (took, small) = (took.as_secs_f64(), SMALL.as_secs_f64());
        if took <= 0.0 || work == Work::default() {
            return;
        }
        // The first job of a device that was not calibrated is its calibration, if it is one to learn from.
        if self.rates.is_none() && took >= small {
            let pixels = work.encode as f64 + work.decode as f64 * DECODE_SHARE;
            self.rates = Some(Rates::of_encoder(pixels / took));
        }
        let Some(rates) = self.rates else {
            return;
        };
        let seconds = rates.seconds(work);
        if seconds < small {
            let fixed = (took - seconds * self.factor()).clamp(0.0, MOST_FIXED.as_secs_f64());
            self.fixed += WEIGHT * (fixed - self.fixed);
            return;
        }
        let ratio = (took - self.fixed).max(0.0) / seconds;
        let next = match self.measured {
            None => Measured {
                factor: ratio,
                deviation: 0.0,
                last: now,
            },
            Some(m) => Measured {
                factor: m.factor + WEIGHT * (ratio - m.factor),
                deviation: m.deviation + WEIGHT * ((ratio - m.factor).abs() - m.deviation),
                last: now,
            },
        };
        self.measured = Some(next);
    }

    /// A job was stopped before its end, after so long: it would have taken longer.
    pub fn observe_stopped(&mut self, now: Instant, work: Work, after: Duration) {
        if after > self.expected(work) {
            self.observe(now, work, after);
        }
    }

    /// How long a slot will take on average; nothing while the speed is unknown.
    pub fn expected(&self, work: Work) -> Duration {
        self.times(work, self.factor(), self.fixed)
    }

    /// How long it will take at most, nearly always.
    pub fn at_most(&self, work: Work) -> Duration {
        let deviation = self.measured.map_or(0.0, |m| m.deviation);
        self.times(
            work,
            self.factor() + DEVIATIONS * deviation,
            2.0 * self.fixed,
        )
    }

    /// What jobs take over what they should by the calibration; 1 until one was measured.
    pub fn factor(&self) -> f64 {
        self.measured.map_or(1.0, |m| m.factor)
    }

    /// Output pixels a second of the default ladder, of one slot; 0 while unknown.
    pub fn ladder_rate(&self) -> f64 {
        self.rates.map_or(0.0, |r| r.ladder() / self.factor())
    }

    /// No job has told the speed for a long time, or ever: a calibration may have been made while the
    /// machine was busy with something else.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.measured
            .is_none_or(|m| now.saturating_duration_since(m.last) >= STALE_AFTER)
    }

    fn times(&self, work: Work, factor: f64, fixed: f64) -> Duration {
        let Some(rates) = self.rates else {
            return Duration::ZERO;
        };
        Duration::try_from_secs_f64(rates.seconds(work) * factor + fixed)
            .unwrap_or(FOREVER)
            .min(FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(f64) -> Duration = Duration::from_secs_f64;
    const fn work(decode: u64, encode: u64) -> Work {
        Work { decode, encode }
    }

    #[test]
    fn a_job_takes_what_its_pixels_take() {
        let speed = Speed::new(Some(Rates {
            decode: 400.0,
            encode: 100.0,
        }));
        assert_eq!(speed.expected(work(400, 200)), S(3.0));
        assert_eq!(
            speed.at_most(work(400, 0)),
            S(1.0),
            "nothing has deviated yet"
        );
        assert_eq!(speed.expected(work(u64::MAX, u64::MAX)), FOREVER);
        assert_eq!(Speed::default().expected(work(1, 1)), Duration::ZERO);
        assert!(Speed::new(Some(Rates::of_encoder(0.0))).rates.is_none());
    }

    #[test]
    fn two_jobs_of_the_same_pictures_tell_both_rates() {
        let solve =
            |long, short| Rates::solve((work(400, 500), S(long)), (work(400, 100), S(short)));
        let rates = solve(6.0, 2.0).unwrap();
        assert_eq!((rates.encode, rates.decode), (100.0, 400.0));
        let quick = solve(5.0, 1.0).unwrap();
        assert_eq!(
            (quick.encode, quick.decode),
            (100.0, 800.0),
            "nothing is seen of decoding"
        );
        assert!(solve(2.0, 2.0).is_none() && solve(1.0, 2.0).is_none());
    }

    #[test]
    fn what_jobs_take_corrects_it_both_ways() {
        let now = Instant::now();
        let mut speed = Speed::new(Some(Rates::of_encoder(100.0)));
        let mut observe = |took| {
            speed.observe(now, work(0, 100), S(took));
            speed.expected(work(0, 100)).as_secs_f64()
        };
        assert_eq!(observe(1.0), 1.0);
        for _ in 0..20 {
            observe(2.0);
        }
        let hot = observe(2.0);
        assert!((1.98..2.0).contains(&hot), "{hot}");
        for _ in 0..20 {
            observe(1.0);
        }
        let cool = observe(1.0);
        assert!((1.0..1.02).contains(&cool), "{cool}");
    }

    #[test]
    fn a_promise_has_room_for_what_jobs_deviate() {
        let now = Instant::now();
        let mut speed = Speed::new(Some(Rates::of_encoder(100.0)));
        for n in 0..200 {
            let took = if n % 2 == 0 { 0.9 } else { 1.1 };
            speed.observe(now, work(0, 100), S(took));
        }
        let (mean, most) = (speed.expected(work(0, 100)), speed.at_most(work(0, 100)));
        assert!((0.97..1.03).contains(&mean.as_secs_f64()), "{mean:?}");
        assert!((1.25..1.4).contains(&most.as_secs_f64()), "{most:?}");
    }

    #[test]
    fn the_first_job_is_the_calibration_of_a_device_without() {
        let now = Instant::now();
        let mut speed = Speed::default();
        assert!(speed.is_stale(now));
        speed.observe(now, work(0, 0), S(1.0));
        speed.observe(now, work(1, 1), Duration::ZERO);
        assert_eq!(
            speed.ladder_rate(),
            0.0,
            "what says nothing changes nothing"
        );
        speed.observe(now, work(800, 100), S(2.0));
        assert_eq!(speed.expected(work(0, 100)), S(1.0));
        assert_eq!(speed.factor(), 1.0);
        assert!(!speed.is_stale(now + S(9.9)) && speed.is_stale(now + S(10.0)));
    }

    #[test]
    fn small_jobs_tell_what_every_job_takes_and_nothing_of_the_speed() {
        let now = Instant::now();
        let mut speed = Speed::default();
        speed.observe(now, work(0, 1), S(0.05));
        assert_eq!(
            speed.expected(work(0, 100)),
            Duration::ZERO,
            "no calibration"
        );

        let mut speed = Speed::new(Some(Rates::of_encoder(100.0)));
        for _ in 0..50 {
            speed.observe(now, work(0, 1), S(0.06));
        }
        assert_eq!(speed.factor(), 1.0);
        let close = |a: Duration, b: f64| (a.as_secs_f64() - b).abs() < 1e-4;
        assert!(close(speed.expected(work(0, 1)), 0.06), "learned");
        assert!(
            close(speed.at_most(work(0, 100)), 1.1),
            "1 s of pixels, twice the rest"
        );
        for _ in 0..50 {
            speed.observe(now, work(0, 1), S(60.0));
        }
        assert!(
            close(speed.expected(work(0, 100)), 1.25),
            "and no more than that"
        );
        for _ in 0..50 {
            speed.observe(now, work(0, 200), S(2.25));
        }
        assert!(
            (speed.factor() - 1.0).abs() < 1e-3,
            "counted once: {}",
            speed.factor()
        );
    }

    #[test]
    fn a_job_that_was_stopped_late_tells_that_the_device_is_slow() {
        let now = Instant::now();
        let mut speed = Speed::new(Some(Rates::of_encoder(100.0)));
        speed.observe_stopped(now, work(0, 100), S(0.5));
        assert_eq!(speed.factor(), 1.0, "it might have been in time");
        for _ in 0..20 {
            speed.observe_stopped(now, work(0, 100), S(3.0));
        }
        assert!(speed.factor() > 2.9, "{}", speed.factor());

        let mut unknown = Speed::default();
        unknown.observe_stopped(now, work(0, 100), S(3.0));
        assert_eq!(unknown.expected(work(0, 100)), S(3.0));
    }
}
