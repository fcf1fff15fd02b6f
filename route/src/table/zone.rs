//! Zones: nodes that share a network, a provider or a power line, and so share their fate.
//!
//! When most of a zone's nodes of which anything is known do not answer, or too late, within a few seconds while
//! other zones do not, it is the zone: it is left as a whole, at once, before each of its
//! nodes has had the chance to fail by itself, and its neighbours take over. It comes back by
//! a trickle: one segment is its trial, and then it is given more and more. When everything
//! turns bad at once, it is not a zone, and nothing is left.

use std::time::Duration;

use serde::Deserialize;

use crate::bounds;

/// When a zone is left as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A zone is left when this part of its nodes with evidence is bad, and two at least.
    pub share: f64,
    /// For how long a node's turning bad is evidence against its zone.
    #[serde(with = "humantime_serde")]
    pub bad_for: Duration,
    /// For how long a good result is evidence for it; one that came after the others turned bad
    /// is as long as they are evidence against it.
    #[serde(with = "humantime_serde")]
    pub good_for: Duration,
    /// How long it is left the first time; twice as long each further time, up to `max`,
    /// shortened by up to a quarter at random.
    #[serde(with = "humantime_serde")]
    pub base: Duration,
    /// The longest time for which it is left.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Good conduct after which earlier times no longer lengthen the next one.
    #[serde(with = "humantime_serde")]
    pub forgive: Duration,
    /// What part of its share it gets right after its return.
    pub slow_start: f64,
    /// How long it takes to its full share after its return.
    #[serde(with = "humantime_serde")]
    pub ramp: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            share: 0.8,
            bad_for: Duration::from_secs(5),
            good_for: Duration::from_millis(500),
            base: Duration::from_secs(5),
            max: Duration::from_secs(30),
            forgive: Duration::from_secs(60),
            slow_start: 0.1,
            ramp: Duration::from_secs(10),
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err("share must be above 0 and not above 1".to_owned());
        }
        if self.base.is_zero() || self.max < self.base {
            return Err("base must be above 0 s and not above max".to_owned());
        }
        bounds::times([
            ("bad_for", self.bad_for),
            ("good_for", self.good_for),
            ("max", self.max),
            ("forgive", self.forgive),
            ("ramp", self.ramp),
        ])?;
        if !(self.slow_start > 0.0 && self.slow_start <= 1.0) {
            return Err("slow_start must be above 0 and not above 1".to_owned());
        }
        if self.ramp.is_zero() {
            return Err("ramp must be longer than 0 s".to_owned());
        }
        Ok(())
    }
}

/// What is known of a zone's nodes at some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) nodes: u32,
    pub(super) good: u32,
    pub(super) bad: u32,
}

/// It is not the zone if this part of the nodes elsewhere turned bad, too.
const ELSEWHERE: f64 = 0.25;

impl Tally {
    fn bad_share(self) -> f64 {
        f64::from(self.bad) / f64::from((self.good + self.bad).max(1))
    }

    /// It is the zone, and not one node or everything, that turned bad. `rest` is the tally
    /// of all other zones.
    pub(super) fn condemns(self, rest: Self, config: &Config) -> bool {
        self.bad >= 2
            && self.bad_share() >= config.share
            && rest.nodes > rest.bad
            && rest.bad_share() < ELSEWHERE
    }
}

/// How a zone stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stand {
    Fine,
    Left,
    /// The next segment decides.
    OnTrial,
}

/// A zone.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) tally: Tally,
    /// When the first of those turned bad that are bad now.
    pub(super) bad_from: f64,
    left: Option<(f64, f64)>,
    times: u32,
    good_since: f64,
    ramp_from: f64,
    /// Trials in flight.
    pub(super) trials: u32,
}

impl Zone {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            tally: Tally::default(),
            bad_from: f64::INFINITY,
            left: None,
            times: 0,
            good_since: f64::NEG_INFINITY,
            ramp_from: f64::NEG_INFINITY,
            trials: 0,
        }
    }

    pub(super) fn stand(&self, t: f64) -> Stand {
        match self.left {
            None => Stand::Fine,
            Some((_, until)) if t < until => Stand::Left,
            Some(_) => Stand::OnTrial,
        }
    }

    /// Until when it is left; in the past while it is on trial.
    pub(super) fn left_until(&self) -> Option<f64> {
        self.left.map(|(_, until)| until)
    }

    /// What turned bad before this is no evidence.
    pub(super) fn good_since(&self) -> f64 {
        self.good_since
    }

    /// It is left; `chance` is a random number from 0 to 1.
    pub(super) fn leave(&mut self, t: f64, chance: f64, config: &Config) -> f64 {
        if self.left.is_none() && t - self.good_since > config.forgive.as_secs_f64() {
            self.times = 0;
        }
        let growth = 2f64.powi(i32::try_from(self.times.min(30)).unwrap_or(30));
        let length = (config.base.as_secs_f64() * growth).min(config.max.as_secs_f64());
        let length = length * (1.0 - 0.25 * chance);
        self.times = self.times.saturating_add(1);
        self.left = Some((t, t + length));
        length
    }

    /// A job that was sent there at `sent` came out well. True if that brings the zone back.
    pub(super) fn success(&mut self, sent: f64, t: f64) -> bool {
        match self.left {
            Some((at, _)) if sent >= at => {
                self.left = None;
                self.good_since = t;
                self.ramp_from = t;
                true
            }
            _ => false,
        }
    }

    /// What part of its share it gets.
    pub(super) fn share(&self, t: f64, config: &Config) -> f64 {
        let part = (t - self.ramp_from) / config.ramp.as_secs_f64();
        if part >= 1.0 {
            return 1.0;
        }
        config.slow_start + (1.0 - config.slow_start) * part.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(good: u32, bad: u32) -> Tally {
        Tally {
            nodes: 8,
            good,
            bad,
        }
    }

    #[test]
    fn a_zone_is_condemned_when_most_of_it_is_bad_and_the_rest_is_not() {
        let c = Config::default();
        assert!(tally(0, 2).condemns(tally(2, 0), &c));
        assert!(tally(1, 4).condemns(tally(4, 1), &c));
        assert!(
            !tally(0, 4).condemns(tally(3, 1), &c),
            "a quarter of the others are bad, too"
        );
        assert!(!tally(1, 3).condemns(tally(2, 1), &c), "one works on");
        assert!(
            !tally(0, 1).condemns(tally(2, 0), &c),
            "one node is no zone"
        );
        assert!(
            !tally(2, 4).condemns(tally(2, 0), &c),
            "half-bad is not lost"
        );
        assert!(!tally(0, 8).condemns(tally(2, 2), &c), "all is bad");
        assert!(!tally(0, 8).condemns(Tally::default(), &c), "nowhere to go");
    }

    #[test]
    fn it_comes_back_by_a_trickle_and_longer_each_time() {
        let c = Config::default();
        let mut zone = Zone::new("a".to_owned());
        assert_eq!(zone.leave(100.0, 0.0, &c), 5.0);
        assert_eq!(zone.stand(104.9), Stand::Left);
        assert_eq!(zone.stand(105.0), Stand::OnTrial);
        assert!(!zone.success(99.0, 105.0), "sent before it was left");
        assert!(zone.success(105.0, 106.0));
        assert_eq!(zone.stand(106.0), Stand::Fine);
        assert!((zone.share(106.0, &c) - 0.1).abs() < 1e-9);
        assert!((zone.share(111.0, &c) - 0.55).abs() < 1e-9);
        assert_eq!(zone.share(116.0, &c), 1.0);
        assert_eq!(zone.leave(120.0, 0.0, &c), 10.0);
        for _ in 0..5 {
            zone.leave(140.0, 0.0, &c);
        }
        assert_eq!(zone.leave(141.0, 1.0, &c), 30.0 * 0.75);
        assert!(zone.success(150.0, 151.0));
        assert_eq!(zone.leave(212.0, 0.0, &c), 5.0, "a minute forgives");
    }
}
