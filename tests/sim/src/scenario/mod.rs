//! A scenario: a fleet, what is published to it, what befalls it, and what must come of that.
//!
//! One TOML file each. Every key has a default but those that make the scenario what it is; an
//! unknown key is an error, so that no expectation is lost to a slip of the pen.

mod expect;
mod fault;
mod fleet;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub(crate) use expect::Bound;
pub use expect::Figure;
pub(crate) use fault::{Fault, Kind, Select};
pub(crate) use fleet::{Ingest, Network, NodeGroup};

/// A scenario, as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its extension.
    #[serde(skip)]
    pub name: String,
    /// What happens and what is expected, in a sentence or two.
    pub about: String,
    /// Virtual time until the last segment is cut.
    #[serde(with = "humantime_serde")]
    pub(crate) length: Duration,
    /// Segments cut before this are not counted: the policy is still learning the fleet.
    #[serde(with = "humantime_serde", default)]
    pub(crate) warm_up: Duration,
    /// A segment's deadline, from its cut, in durations of a segment.
    #[serde(default = "default_deadline")]
    pub(crate) deadline: f64,
    /// How long after a fault's beginning the policy may still pay for learning of it.
    #[serde(with = "humantime_serde", default = "default_settle")]
    pub(crate) settle: Duration,
    #[serde(default)]
    pub(crate) network: Network,
    pub(crate) nodes: Vec<NodeGroup>,
    pub(crate) ingests: Vec<Ingest>,
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// What must come of it, for our policy.
    #[serde(default)]
    pub(crate) expect: std::collections::BTreeMap<Figure, Bound>,
}

fn default_deadline() -> f64 {
    1.5
}

fn default_settle() -> Duration {
    Duration::from_secs(5)
}

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, or says what no scenario says.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// It is well-formed and makes no sense.
    #[error("{}: {what}", path.display())]
    Nonsense {
        /// The file.
        path: PathBuf,
        /// The key and what is wrong with it.
        what: String,
    },
}

impl Scenario {
    /// Reads a scenario from its file.
    ///
    /// # Errors
    /// It cannot be read, understood or run; the error names file, key and cause.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let name = path
            .file_stem()
            .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Self::parse(&name, &text).map_err(|e| match e {
            Bad::Toml(source) => Error::Parse {
                path: path.to_owned(),
                source,
            },
            Bad::Sense(what) => Error::Nonsense {
                path: path.to_owned(),
                what,
            },
        })
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Bad> {
        let mut scenario: Self = toml::from_str(text).map_err(|e| Bad::Toml(Box::new(e)))?;
        name.clone_into(&mut scenario.name);
        scenario.check().map_err(Bad::Sense)?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if self.warm_up >= self.length {
            return Err("warm_up: must be shorter than length".to_owned());
        }
        if !(self.deadline > 0.0 && self.deadline <= 10.0) {
            return Err("deadline: must be above 0 and at most 10 segments".to_owned());
        }
        if self.nodes.is_empty() || self.ingests.is_empty() {
            return Err("nodes, ingests: at least one of each".to_owned());
        }
        self.network.check()?;
        for (i, group) in self.nodes.iter().enumerate() {
            group.check().map_err(|e| format!("nodes {}: {e}", i + 1))?;
        }
        for (i, ingest) in self.ingests.iter().enumerate() {
            ingest
                .check()
                .map_err(|e| format!("ingests {}: {e}", i + 1))?;
        }
        for (i, fault) in self.faults.iter().enumerate() {
            fault
                .check(self)
                .map_err(|e| format!("faults {}: {e}", i + 1))?;
        }
        for (figure, bound) in &self.expect {
            bound.check().map_err(|e| format!("expect.{figure}: {e}"))?;
        }
        Ok(())
    }

    /// From a segment's cut to its deadline, for the streams of the first ingest.
    pub(crate) fn deadline_of_first(&self) -> Duration {
        let first = self.ingests.first().map(|i| i.segment);
        first.unwrap_or_default().mul_f64(self.deadline)
    }

    /// Slots that are busy on average when all is well and every stream is there.
    pub fn utilisation(&self) -> f64 {
        let speed: f64 = self
            .nodes
            .iter()
            .map(|n| f64::from(n.count) * f64::from(n.slots) * n.slot_rate)
            .sum();
        let demand: f64 = self
            .ingests
            .iter()
            .filter(|i| i.from.is_zero())
            .map(Ingest::pixels_a_second)
            .sum();
        demand / speed
    }
}

/// Why a text is no scenario.
#[derive(Debug)]
pub(crate) enum Bad {
    Toml(Box<toml::de::Error>),
    Sense(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        about = "nothing happens"
        length = "30s"
        nodes = [{ count = 2, slots = 4, slot_rate = 200e6 }]
        ingests = [{ streams = 4, ladder = ["640x360@30"] }]
    "#;

    fn error(text: &str) -> String {
        match Scenario::parse("test", text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(Bad::Toml(e)) => e.to_string(),
            Err(Bad::Sense(e)) => e,
        }
    }

    #[test]
    fn the_least_that_a_scenario_says() {
        let s = Scenario::parse("test", GOOD).unwrap();
        assert_eq!((s.name.as_str(), s.deadline), ("test", 1.5));
        // 4 streams of 640x360 at 30 pictures a second, on 8 slots of 200 million pixels.
        let expected = 4.0 * 640.0 * 360.0 * 30.0 / (8.0 * 200e6);
        assert!((s.utilisation() - expected).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (add, named) in [
            ("lenght = '3s'", "lenght"),
            ("warm_up = '30s'", "warm_up"),
            ("deadline = 0.0", "deadline"),
            ("faults = [{ at = '1s', what = 'sulk' }]", "sulk"),
            (
                "faults = [{ at = '1s', until = '1s', what = 'hang' }]",
                "until",
            ),
            ("faults = [{ at = '31s', what = 'hang' }]", "at"),
            (
                "faults = [{ at = '3s', what = { slow = { ad = '1s' } } }]",
                "ad",
            ),
            (
                "faults = [{ at = '3s', what = 'hang', nodes = { zone = 'x' } }]",
                "x",
            ),
            ("[expect]\non_tme = { min = 1.0 }", "on_tme"),
            ("[expect]\non_time = { mni = 1.0 }", "mni"),
            ("[expect]\non_time = {}", "on_time"),
            ("[network]\njitter = -1.0", "jitter"),
        ] {
            let error = error(&format!("{GOOD}\n{add}"));
            assert!(error.contains(named), "{add}: {error}");
        }
    }
}
