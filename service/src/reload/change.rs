//! What differs between two configurations, and when that takes effect. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// When a key that changed takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// At once.
    Now,
    /// In what begins from now on: streams, connections, segments.
    Next,
    /// When a new generation of the ingest takes over.
    #[serde(rename = "hand-over")]
    Handover,
    /// When the service is restarted.
    Restart,
}

/// Keys whose new value is not in force, and what each waits for.
pub type Waiting = BTreeMap<String, Takes>;

impl Takes {
    /// Whether a reload does it.
    pub fn by_reload(self) -> bool {
        matches!(self, Self::Now | Self::Next)
    }

    /// What it waits for, in a word, where a reload does not do it.
    pub fn awaited(self) -> Option<&'static str> {
        match self {
            Self::Now | Self::Next => None,
            Self::Handover => Some("hand-over"),
            Self::Restart => Some("restart"),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "takes effect at once",
            Self::Next => "takes effect in what begins from now on",
            Self::Handover => "takes effect with a hand-over to a new generation (SIGUSR2)",
            Self::Restart => "takes effect with a restart",
        })
    }
}

/// When the keys of a daemon take effect. What stands for a key holds for all below it that have
/// no entry of their own.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Dotted keys, in any order: `stream.ladder`, `auth`.
    pub keys: &'static [(&'static str, Takes)],
    /// For every other key.
    pub rest: Takes,
}

impl Rules {
    /// When this dotted key takes effect.
    pub fn of(&self, key: &str) -> Takes {
        let above = |rule: &str| {
            key.strip_prefix(rule)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let fit = self.keys.iter().filter(|(rule, _)| above(rule));
        fit.max_by_key(|(rule, _)| rule.len())
            .map_or(self.rest, |(_, takes)| *takes)
    }

    /// The keys that a process that works by `basis` has not in force of `wanted`.
    pub fn waiting(&self, basis: &Table, wanted: &Table) -> Waiting {
        let timed = |key: String| {
            let takes = self.of(&key);
            (key, takes)
        };
        let keys = changed(basis, wanted).into_iter().map(timed);
        keys.filter(|(_, takes)| !takes.by_reload()).collect()
    }
}

/// The dotted keys in which two configurations differ, in order. Values may be secret; keys are not.
pub fn changed(old: &Table, new: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    compare("", old, new, &mut keys);
    keys.sort();
    keys
}

fn compare(above: &str, old: &Table, new: &Table, keys: &mut Vec<String>) {
    let none = Table::new();
    for key in either(old, new) {
        let dotted = below(above, &key);
        match (old.get(&key), new.get(&key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(&dotted, old, new, keys),
            (Some(Value::Table(old)), None) => compare(&dotted, old, &none, keys),
            (None, Some(Value::Table(new))) => compare(&dotted, &none, new, keys),
            (old, new) if old == new => {}
            _ => keys.push(dotted),
        }
    }
}

/// Makes `basis` what `wanted` is in those of the dotted keys that differ for which `is_in_force`.
pub(super) fn settle(basis: &mut Table, wanted: &Table, is_in_force: &impl Fn(&str) -> bool) {
    settle_below("", basis, wanted, is_in_force);
}

fn settle_below(
    above: &str,
    basis: &mut Table,
    wanted: &Table,
    is_in_force: &impl Fn(&str) -> bool,
) {
    let none = Table::new();
    for key in either(basis, wanted) {
        let dotted = below(above, &key);
        match (basis.get_mut(&key), wanted.get(&key)) {
            (Some(Value::Table(basis)), Some(Value::Table(wanted))) => {
                settle_below(&dotted, basis, wanted, is_in_force);
            }
            (Some(Value::Table(basis)), None) => {
                settle_below(&dotted, basis, &none, is_in_force);
            }
            (None, Some(Value::Table(wanted))) => {
                let mut made = Table::new();
                settle_below(&dotted, &mut made, wanted, is_in_force);
                basis.insert(key, Value::Table(made));
            }
            _ if !is_in_force(&dotted) => {}
            (_, Some(value)) => _ = basis.insert(key, value.clone()),
            (_, None) => _ = basis.remove(&key),
        }
    }
}

/// The keys of both, each once.
fn either(one: &Table, other: &Table) -> Vec<String> {
    let added = other.keys().filter(|key| !one.contains_key(*key));
    one.keys().chain(added).cloned().collect()
}

fn below(above: &str, key: &str) -> String {
    match above {
        "" => key.to_owned(),
        above => format!("{above}.{key}"),
    }
}

/// `over` laid over `under`: its values stand, and tables are merged key by key.
pub fn merge(under: &Table, over: &Table) -> Table {
    let mut merged = under.clone();
    for (key, value) in over {
        match (merged.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => *below = merge(below, above),
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}
