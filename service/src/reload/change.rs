//! What differs between two configurations, and when that takes effect. Pure.

use std::fmt;

use toml::{Table, Value};

/// When a key that changed takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Takes {
    /// At once.
    Now,
    /// In what begins from now on: streams, connections, segments.
    Next,
    /// When a new generation of the ingest takes over.
    Handover,
    /// When the service is restarted.
    Restart,
}

impl Takes {
    /// Whether a reload does it.
    pub fn by_reload(self) -> bool {
        matches!(self, Self::Now | Self::Next)
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
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let dotted = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(&dotted, old, new, keys),
            (Some(Value::Table(old)), None) => compare(&dotted, old, &none, keys),
            (None, Some(Value::Table(new))) => compare(&dotted, &none, new, keys),
            (old, new) if old == new => {}
            _ => keys.push(dotted),
        }
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
