//! What does the work: the CPU, or a GPU.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::admission::{Rates, Spec};
mod cpus;

use crate::pipeline::EncoderConfig;
pub use cpus::Cpus;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Cores of this machine.
    Cpu,
}

impl Kind {
    /// As it stands in the configuration, in names and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A device as this node uses it.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name within the node.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Worker processes, each with one job at a time.
    pub workers: usize,
    /// How it encodes.
    pub encoder: EncoderConfig,
    /// CPUs of its workers, round and round; anywhere without an entry.
    pub cpus: Vec<Cpus>,
    /// What a worker of it can do, as far as that was measured.
    pub rates: Option<Rates>,
}

impl Device {
    /// The CPUs of a worker, by number; none for any.
    pub fn cpus_of(&self, slot: usize) -> &[usize] {
        let entry = slot.checked_rem(self.cpus.len());
        entry
            .and_then(|i| self.cpus.get(i))
            .map_or(&[], Cpus::as_slice)
    }

    /// As answers name it: what it is and how it encodes.
    pub fn label(&self) -> Arc<str> {
        format!("{}/{}", self.name, self.encoder.encoder.as_str()).into()
    }

    /// As admission sees it.
    pub fn spec(&self, warm: usize) -> Spec {
        Spec {
            slots: self.workers,
            rates: self.rates,
            warm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_their_cpus_in_turn() {
        let mut device = Device {
            name: "cpu".into(),
            kind: Kind::Cpu,
            workers: 4,
            encoder: EncoderConfig::default(),
            cpus: Vec::new(),
            rates: None,
        };
        assert_eq!(device.cpus_of(3), [0; 0]);
        device.cpus = ["0-1", "2,4"].map(|list| list.parse().unwrap()).into();
        assert_eq!(
            (device.cpus_of(0), device.cpus_of(3)),
            (&[0, 1][..], &[2, 4][..])
        );
        assert_eq!(&*device.label(), "cpu/x264");
    }
}
