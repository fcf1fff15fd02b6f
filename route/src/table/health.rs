//! Failure accrual: what makes a node be doubted, ejected, tried and taken back.
//!
//! One failure is enough to be *doubted*: the node gets nothing while good ones exist, for a
//! short time, and then one segment, whose outcome decides. Several in a row, or too many
//! among the last, *eject* it for a time that grows with each ejection before it and is
//! jittered, so that many ingests do not come back at once. After that one segment is its
//! *trial*. A node that comes through is given a tenth of its share at first and more and more
//! (Envoy's slow start). A result of a request that was sent before the verdict says nothing
//! new, for good or bad.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::Deserialize;

use super::reason::FailureKind;
use super::window::Window;
use crate::bounds;

/// When a node is doubted, ejected, tried and taken back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Failures in a row that eject a node. A refused connection ejects at once, and wrong
    /// media after two; a node on its way back is out with one of any kind.
    pub failures: u32,
    /// The least share of successes among the results of the last 30 s, once there are
    /// `samples` of them.
    pub success: f64,
    /// See `success`.
    pub samples: u32,
    /// How long a node gets nothing after one failure; twice as long after the next.
    #[serde(with = "humantime_serde")]
    pub doubt: Duration,
    /// The first ejection's length; each further one is twice as long, up to `max`, and each
    /// is shortened by up to a quarter at random.
    #[serde(with = "humantime_serde")]
    pub base: Duration,
    /// The longest ejection.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Good conduct after which earlier ejections no longer lengthen the next one.
    #[serde(with = "humantime_serde")]
    pub forgive: Duration,
    /// The most of the nodes that may be ejected for soft reasons at a time. Those beyond
    /// are only doubted.
    pub most: f64,
    /// When fewer of the nodes than this are not ejected, soft ejections are not believed.
    pub panic: f64,
    /// What part of its share a new or returning node gets at first.
    pub slow_start: f64,
    /// How long it takes to its full share.
    #[serde(with = "humantime_serde")]
    pub ramp: Duration,
    /// Trials for each segment sent, over all nodes.
    pub trials: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures: 3,
            success: 0.8,
            samples: 10,
            doubt: Duration::from_secs(2),
            base: Duration::from_secs(8),
            max: Duration::from_secs(20),
            forgive: Duration::from_secs(60),
            most: 0.3,
            panic: 0.5,
            slow_start: 0.1,
            ramp: Duration::from_secs(10),
            trials: 0.02,
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.failures == 0 || self.samples == 0 {
            return Err("failures and samples must be at least 1".to_owned());
        }
        let shares = [self.success, self.most, self.panic];
        if !shares.iter().all(|s| (0.0..=1.0).contains(s)) {
            return Err("success, most and panic must be from 0 to 1".to_owned());
        }
        if !(self.trials > 0.0 && self.trials <= 1.0) {
            return Err("trials must be above 0, or nothing returns, and not above 1".to_owned());
        }
        bounds::times([
            ("doubt", self.doubt),
            ("max", self.max),
            ("forgive", self.forgive),
            ("ramp", self.ramp),
        ])?;
        if !(self.slow_start > 0.0 && self.slow_start <= 1.0) {
            return Err("slow_start must be above 0 and not above 1".to_owned());
        }
        if self.base.is_zero() || self.max < self.base {
            return Err("base must be above 0 s and not above max".to_owned());
        }
        if self.ramp.is_zero() || self.doubt.is_zero() {
            return Err("ramp and doubt must be longer than 0 s".to_owned());
        }
        Ok(())
    }
}

/// The longest that a single failure keeps a node waiting, in doubts.
const MOST_DOUBTS: f64 = 4.0;

/// A node's record.
#[derive(Debug, Clone)]
pub(super) struct Health {
    failures: u32,
    last: FailureKind,
    /// When the job that failed last was sent.
    failed_sent: f64,
    doubt_until: Option<f64>,
    bad_since: f64,
    window: Window,
    ejections: u32,
    good_since: f64,
    ejection: Option<Ejection>,
    ramp: (f64, f64),
}

#[derive(Debug, Clone, Copy)]
struct Ejection {
    at: f64,
    until: f64,
    kind: FailureKind,
    /// It would have been one too many.
    capped: bool,
}

/// How a node stands by its record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stand {
    Fine,
    /// Its last request failed a moment ago.
    Doubted(FailureKind),
    Ejected {
        kind: FailureKind,
        until: f64,
        capped: bool,
    },
    /// The next segment decides.
    OnTrial(FailureKind),
}

/// What is to be known of a failure besides that it happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    /// When the job was sent.
    pub(super) sent: f64,
    /// Ejects whatever was before it.
    pub(super) decisive: bool,
    /// No more nodes may be ejected for soft reasons.
    pub(super) capped: bool,
}

impl Health {
    /// A clean record of a node that is new at `t`.
    pub(super) fn new(t: f64, config: &Config) -> Self {
        Self {
            failures: 0,
            last: FailureKind::Internal,
            failed_sent: f64::NEG_INFINITY,
            doubt_until: None,
            bad_since: f64::NEG_INFINITY,
            window: Window::default(),
            ejections: 0,
            good_since: t,
            ejection: None,
            ramp: (t, config.ramp.as_secs_f64()),
        }
    }

    pub(super) fn stand(&self, t: f64) -> Stand {
        match (self.ejection, self.doubt_until) {
            (Some(e), _) if t < e.until => Stand::Ejected {
                kind: e.kind,
                until: e.until,
                capped: e.capped,
            },
            (Some(e), _) => Stand::OnTrial(e.kind),
            (None, Some(until)) if t < until => Stand::Doubted(self.last),
            (None, Some(_)) => Stand::OnTrial(self.last),
            (None, None) => Stand::Fine,
        }
    }

    /// For how many seconds it has waited for its trial; 0 if it does not.
    pub(super) fn on_trial_for(&self, t: f64) -> f64 {
        let until = self.ejection.map(|e| e.until).or(self.doubt_until);
        until.map_or(0.0, |until| (t - until).max(0.0))
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when the node is doubted or ejected, if it did not answer at all the last time, or far too late.
    pub(super) fn cut_off_since(&self) -> Option<f64> {
        let bad = self.ejection.is_some() || self.doubt_until.is_some();
        (bad && !self.last.is_answer()).then_some(self.bad_since)
    }

    /// Softly ejected, trial included: counts against the cap.
    pub(super) fn softly_ejected(&self) -> bool {
        self.ejection
            .is_some_and(|e| !e.kind.is_hard() && !e.capped)
    }

    /// Ejected, trial included.
    pub(super) fn ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// What part of its share the node gets.
    pub(super) fn share(&self, t: f64, config: &Config) -> f64 {
        let (from, length) = self.ramp;
        let part = (t - from) / length;
        if part >= 1.0 {
            return 1.0;
        }
        config.slow_start + (1.0 - config.slow_start) * part.max(0.0)
    }

    /// A request that was sent at `sent` came out well. True if that ends an ejection.
    pub(super) fn success(&mut self, sent: f64, t: f64, config: &Config) -> bool {
        self.window.add(true, t);
        if let Some(e) = self.ejection {
            if sent < e.at {
                return false;
            }
            self.ramp = (t, config.ramp.as_secs_f64());
            self.good_since = t;
            self.window = Window::default();
        } else if sent < self.failed_sent {
            return false;
        }
        self.failures = 0;
        self.doubt_until = None;
        self.ejection.take().is_some()
    }

    /// A request failed. The length in seconds of the ejection that follows, if one does.
    pub(super) fn failure(
        &mut self,
        failure: Failure,
        t: f64,
        config: &Config,
        rng: &mut impl Rng,
    ) -> Option<f64> {
        if let Some(e) = self.ejection
            && (failure.sent < e.at || t < e.until)
        {
            return None;
        }
        let kind = failure.kind;
        self.window.add(false, t);
        self.failures = self.failures.saturating_add(1);
        self.last = kind;
        self.failed_sent = self.failed_sent.max(failure.sent);
        if self.ejection.is_none() && self.doubt_until.is_none() {
            self.bad_since = t;
        }
        // Who is on its way back is not believed so often once more.
        let (back_at, _) = self.ramp;
        let returning = self.ejections > 0 && self.share(t, config) < 1.0;
        let enough = match kind {
            _ if returning && failure.sent >= back_at => 1,
            FailureKind::Connect => 1,
            FailureKind::WrongMedia => config.failures.min(2),
            _ => config.failures,
        };
        let ejects = failure.decisive
            || self.ejection.is_some()
            || self.failures >= enough
            || self.window.is_below(config.success, config.samples, t);
        if !ejects {
            let doubts = 2f64.powi(i32::try_from(self.failures - 1).unwrap_or(i32::MAX));
            let length = config.doubt.as_secs_f64() * doubts.min(MOST_DOUBTS);
            self.doubt_until = Some(t + length);
            return None;
        }
        if self.ejection.is_none() && t - self.good_since >= config.forgive.as_secs_f64() {
            self.ejections = 0;
        }
        let growth = 2f64.powi(i32::try_from(self.ejections.min(30)).unwrap_or(30));
        let length = (config.base.as_secs_f64() * growth).min(config.max.as_secs_f64());
        let length = length * rng.random_range(0.75..1.0);
        self.ejections = self.ejections.saturating_add(1);
        self.ejection = Some(Ejection {
            at: t,
            until: t + length,
            kind,
            capped: failure.capped && !kind.is_hard(),
        });
        Some(length)
    }

    /// A probe got through. A node that could not be reached is on trial from now on, unless
    /// it has been coming and going.
    pub(super) fn reached(&mut self, t: f64) {
        if let Some(e) = &mut self.ejection
            && e.kind == FailureKind::Connect
            && self.ejections <= 1
        {
            e.until = e.until.min(t);
        }
    }

    /// Whether a probe can tell anything: not while a node waits for having answered badly.
    pub(super) fn wants_probe(&self, t: f64) -> bool {
        self.ejection
            .is_none_or(|e| e.kind == FailureKind::Connect || t >= e.until)
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
