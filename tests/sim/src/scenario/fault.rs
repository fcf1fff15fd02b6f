use std::time::Duration;

use serde::Deserialize;

use super::Scenario;
use super::fleet::amount;

/// Something that befalls the fleet for a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    #[serde(with = "humantime_serde")]
    pub(crate) at: Duration,
    /// Until then; to the end of the run if not given.
    #[serde(with = "humantime_serde", default)]
    pub(crate) until: Option<Duration>,
    /// Whom; all nodes if not given.
    #[serde(default)]
    pub(crate) nodes: Select,
    pub(crate) what: Kind,
    /// It comes and goes.
    #[serde(default)]
    pub(crate) flap: Option<Flap>,
    /// One node after another, this far apart; `until` then counts for each, from its own
    /// beginning.
    #[serde(with = "humantime_serde", default)]
    pub(crate) every: Option<Duration>,
}

/// Nodes by chance (another choice each seed) out of those that fit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Select {
    /// Only of this group.
    pub(crate) group: Option<String>,
    /// Only of this zone.
    pub(crate) zone: Option<String>,
    /// So many of them.
    pub(crate) count: Option<u32>,
    /// Or such a share of them, rounded down.
    pub(crate) share: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flap {
    #[serde(with = "humantime_serde")]
    pub(crate) bad: Duration,
    #[serde(with = "humantime_serde")]
    pub(crate) good: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// Jobs that begin take longer, and keep their slot for it.
    Slow {
        #[serde(with = "humantime_serde", default)]
        add: Duration,
        #[serde(default = "one")]
        factor: f64,
    },
    /// 500, soon after the body, for this share of the jobs.
    Errors(f64),
    /// The first rendition is wrong, for this share of the jobs.
    WrongMedia(f64),
    /// Takes everything and answers nothing, probes included: a process that is stopped.
    Hang,
    /// Connections are refused and what was there is lost. The catalog follows after its check.
    Dead,
    /// 429 for everything.
    Refuse,
    /// 422 for this share of the jobs, whatever is in them.
    FalseClaims(f64),
    /// Nothing gets through, either way, and nothing says so. The catalog follows.
    Partition,
    /// The way there is long and loses packets.
    Congested {
        /// Added to the round trip.
        #[serde(with = "humantime_serde")]
        add: Duration,
        /// Share of packets lost; bounds the throughput by Mathis's formula.
        loss: f64,
    },
    /// Admits nothing, leaves the catalog, finishes its work, is down for `down`, returns.
    Restart {
        #[serde(with = "humantime_serde")]
        drain: Duration,
        #[serde(with = "humantime_serde")]
        down: Duration,
    },
    /// The catalog tells nothing new.
    CatalogFrozen,
    /// The catalog says that there is no node.
    CatalogEmpty,
    /// The catalog does not list these nodes, which are well.
    CatalogWithout,
    /// Such a share of the segments cannot be transcoded by anyone.
    Poison(f64),
}

fn one() -> f64 {
    1.0
}

impl Kind {
    /// It befalls the catalog or the media, and no node.
    pub(crate) fn is_global(self) -> bool {
        matches!(
            self,
            Self::CatalogFrozen | Self::CatalogEmpty | Self::Poison(_)
        )
    }
}

impl Fault {
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), String> {
        if self.at >= scenario.length {
            return Err("at: must be before the end of the run".to_owned());
        }
        if self.until.is_some_and(|until| until <= self.at) {
            return Err("until: must be later than at".to_owned());
        }
        let flap = self.flap.map(|f| f.bad.min(f.good));
        let stagger = self.every;
        if [flap, stagger].into_iter().flatten().any(|d| d.is_zero()) {
            return Err("flap, every: must be longer than 0 s".to_owned());
        }
        if self.flap.is_some() && self.every.is_some() {
            return Err("flap, every: only one of them".to_owned());
        }
        match self.what {
            Kind::Errors(share)
            | Kind::WrongMedia(share)
            | Kind::FalseClaims(share)
            | Kind::Poison(share)
            | Kind::Congested { loss: share, .. } => amount("what", share, 1.0)?,
            Kind::Slow { factor, .. } if !(factor.is_finite() && factor >= 1.0) => {
                return Err("what.slow.factor: must be at least 1".to_owned());
            }
            _ => {}
        }
        let select = &self.nodes;
        if select.count.is_some() && select.share.is_some() {
            return Err("nodes: count or share, not both".to_owned());
        }
        amount("nodes.share", select.share.unwrap_or(0.0), 1.0)?;
        let known = |what: &str, want: &Option<String>, any: &dyn Fn(&str) -> bool| match want {
            Some(name) if !any(name) => Err(format!("nodes.{what}: there is no {name:?}")),
            _ => Ok(()),
        };
        known("group", &select.group, &|name| {
            scenario.nodes.iter().any(|n| n.name == name)
        })?;
        known("zone", &select.zone, &|zone| {
            scenario.nodes.iter().any(|n| n.zone == zone)
        })
    }
}
