//! Failure accrual: a node that fails several times in a row is ejected.
//!
//! An ejection grows with each one before it and is jittered, so that many ingests do not
//! come back at once. After it the node is on trial: one segment, and its outcome decides. A
//! result of a request that was sent before the ejection says nothing new, for good or bad.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use super::config::Config;
use super::reason::FailureKind;

/// A node's record of failures.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    failures: u32,
    ejections: u32,
    good_since: Instant,
    ejection: Option<Ejection>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Ejection {
    at: Instant,
    until: Instant,
    kind: FailureKind,
}

impl Health {
    /// A clean record.
    pub fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            ejections: 0,
            good_since: now,
            ejection: None,
        }
    }

    /// When the ejection ends; `None` for a node in good standing. A time in the past means
    /// that the node is on trial.
    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejection.map(|e| e.until)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A request that was sent at `sent` came out well. True if that ends an ejection.
    pub fn success(&mut self, sent: Instant, now: Instant) -> bool {
        if self.ejection.is_some_and(|e| sent < e.at) {
            return false;
        }
        self.failures = 0;
        let returned = self.ejection.take().is_some();
        if returned {
            self.good_since = now;
        }
        returned
    }

    /// A request that was sent at `sent` failed. The length of the ejection that follows, if
    /// one does.
    pub fn failure(
        &mut self,
        kind: FailureKind,
        sent: Instant,
        now: Instant,
        config: &Config,
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        if let Some(e) = self.ejection
            && (sent < e.at || now < e.until)
        {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let on_trial = self.ejection.is_some();
        if !on_trial && !kind.ejects_at_once() && self.failures < config.failures_to_eject {
            return None;
        }
        if !on_trial && now.saturating_duration_since(self.good_since) >= config.forgive {
            self.ejections = 0;
        }
        let growth = 2f64.powi(i32::try_from(self.ejections.min(30)).unwrap_or(30));
        let length = config.eject_base.as_secs_f64() * growth;
        let length = length.min(config.eject_max.as_secs_f64()) * rng.random_range(0.75..1.25);
        let length = Duration::from_secs_f64(length);
        self.ejections = self.ejections.saturating_add(1);
        self.ejection = Some(Ejection {
            at: now,
            until: now + length,
            kind,
        });
        Some(length)
    }

    /// A probe got through. Ends the wait of a node that was ejected because it could not be
    /// reached: it is on trial from now on.
    pub fn reached(&mut self, now: Instant) {
        if let Some(e) = &mut self.ejection
            && e.kind == FailureKind::Connect
        {
            e.until = e.until.min(now);
        }
    }

    /// Whether a probe can tell anything: not while a node waits for having answered badly.
    pub fn wants_probe(&self, now: Instant) -> bool {
        self.ejection
            .is_none_or(|e| e.kind == FailureKind::Connect || now >= e.until)
    }
}
