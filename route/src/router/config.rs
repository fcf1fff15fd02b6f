use std::time::Duration;

use super::attempts::{Attempts, Hedge, Precious};
use super::budget::WINDOW;
use super::{budget, circuit};
use crate::{degrade, table};

/// The constants of the whole policy. The ingest reads each part from the section of its
/// configuration that is named here.
#[derive(Debug, Clone, Default)]
pub struct RouterConfig {
    /// `[route]`: who gets a segment.
    pub route: table::Config,
    /// `[dispatch.attempts]`.
    pub attempts: Attempts,
    /// `[dispatch.hedge]`.
    pub hedge: Hedge,
    /// `[dispatch.precious]`.
    pub precious: Precious,
    /// `[dispatch.retries]`: what all submissions beyond the first may cost.
    pub retries: Retries,
    /// `[dispatch.refusals]`: what submissions after a refusal may cost.
    pub refusals: Refusals,
    /// `[dispatch.circuit]`.
    pub circuit: circuit::Config,
    /// `[degrade]`.
    pub degrade: degrade::Config,
}

/// What retries and hedges may cost: `[dispatch.retries]`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Tokens that each segment brings.
    pub per_segment: f64,
    /// Tokens that each second brings.
    pub per_second: f64,
    /// Share of the segments due within a second that count before they come, so that all that
    /// a failing node has can be sent again at once; 0 for none.
    pub ahead: f64,
    /// The part of `per_segment` that may go to hedges for which nothing speaks but that the
    /// segment is late.
    pub lateness: f64,
}

impl Default for Retries {
    fn default() -> Self {
        let budget::Config {
            per_segment,
            per_second,
        } = budget::Config::default();
        Self {
            per_segment,
            per_second,
            ahead: 0.9,
            lateness: 0.3,
        }
    }
}

impl From<Retries> for budget::Config {
    fn from(r: Retries) -> Self {
        Self {
            per_segment: r.per_segment,
            per_second: r.per_second,
        }
    }
}

impl Retries {
    /// So little of the budget that some is always left for segments on nodes that fail.
    pub(super) fn for_lateness(self) -> budget::Config {
        budget::Config {
            per_segment: self.per_segment * self.lateness,
            per_second: self.per_second,
        }
    }

    fn check(&self) -> Result<(), String> {
        budget::Config::from(*self).check()?;
        if !((0.0..=1.0).contains(&self.ahead) && (0.0..=1.0).contains(&self.lateness)) {
            return Err("ahead and lateness must be from 0 to 1".to_owned());
        }
        Ok(())
    }
}

/// What submissions after a refusal may cost, and what counts as one: `[dispatch.refusals]`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refusals {
    /// Tokens that each segment brings.
    pub per_segment: f64,
    /// Tokens that each second brings.
    pub per_second: f64,
    /// A refusal comes before the body is read. What is not refused for so long, and twice the
    /// network's part of the node's time, was taken on.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
}

impl Default for Refusals {
    fn default() -> Self {
        let budget::Config {
            per_segment,
            per_second,
        } = budget::Config::refusals();
        Self {
            per_segment,
            per_second,
            within: Duration::from_millis(200),
        }
    }
}

impl From<Refusals> for budget::Config {
    fn from(r: Refusals) -> Self {
        Self {
            per_segment: r.per_segment,
            per_second: r.per_second,
        }
    }
}

impl Refusals {
    fn check(&self) -> Result<(), String> {
        budget::Config::from(*self).check()?;
        if self.within > WINDOW {
            return Err("within must be at most 1s".to_owned());
        }
        Ok(())
    }
}

impl RouterConfig {
    /// Refuses values with which the policy cannot work.
    ///
    /// # Errors
    /// The first key that makes no sense, with its section, and why.
    pub fn check(&self) -> Result<(), String> {
        let parts = [
            ("route", self.route.check()),
            ("dispatch.attempts", self.attempts.check()),
            ("dispatch.hedge", self.hedge.check()),
            ("dispatch.precious", self.precious.check()),
            ("dispatch.retries", self.retries.check()),
            ("dispatch.refusals", self.refusals.check()),
            ("dispatch.circuit", self.circuit.check()),
            ("degrade", self.degrade.check()),
        ];
        for (section, result) in parts {
            result.map_err(|e| format!("{section}.{e}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_and_nonsense_is_named() {
        assert_eq!(RouterConfig::default().check(), Ok(()));
        type Spoil = fn(&mut RouterConfig);
        let broken: [(&str, Spoil); 16] = [
            ("dispatch.attempts.max", |c| c.attempts.max = 0),
            ("dispatch.attempts.share", |c| c.attempts.share = f64::NAN),
            ("dispatch.attempts.patience", |c| c.attempts.patience = 1.0),
            ("dispatch.attempts.look_again", |c| {
                c.attempts.look_again = Duration::ZERO;
            }),
            ("dispatch.hedge.quantile", |c| c.hedge.quantile = 1.0),
            ("dispatch.hedge.free_slots", |c| c.hedge.free_slots = -0.1),
            ("dispatch.hedge.half_life", |c| {
                c.hedge.half_life = Duration::ZERO;
            }),
            ("dispatch.precious.copies", |c| c.precious.copies = 9),
            ("dispatch.retries.per_segment", |c| {
                c.retries.per_segment = -1.0;
            }),
            ("dispatch.retries.ahead", |c| c.retries.ahead = 1.1),
            ("dispatch.refusals.per_second", |c| {
                c.refusals.per_second = 0.3;
            }),
            ("dispatch.refusals.within", |c| {
                c.refusals.within = Duration::from_secs(2);
            }),
            ("dispatch.circuit.base", |c| c.circuit.max = Duration::ZERO),
            ("dispatch.circuit.fleet_good", |c| {
                c.circuit.fleet_good = 1.1;
            }),
            ("degrade.resume", |c| c.degrade.resume = 0.9),
            ("degrade.order", |c| c.degrade.order = vec![1, 0]),
        ];
        for (key, spoil) in broken {
            let mut config = RouterConfig::default();
            spoil(&mut config);
            assert!(config.check().is_err_and(|e| e.starts_with(key)), "{key}");
        }
    }
}
