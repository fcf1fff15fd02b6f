//! What does the work: the CPU, a GPU, or something that pretends to.
//!
//! A device has workers, processes with one job at a time each ([`worker`](crate::worker)); they see
//! no GPU but their own. Which devices a node has is configured, or [found](find).

mod cpus;
pub mod find;
mod kind;
pub mod look;

use std::path::PathBuf;
use std::sync::Arc;

use rackcast_segment::rate::EncoderName;

use crate::admission::{Rates, Spec};
use crate::pipeline::{EncoderConfig, Simulation};

pub use cpus::Cpus;
pub use kind::Kind;

/// A device as this node uses it.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name within the node.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Worker processes, each with one job at a time.
    pub workers: usize,
    /// Their number is the best that a calibration found, if one did.
    pub finds_workers: bool,
    /// How it encodes, unless it is simulated.
    pub encoder: EncoderConfig,
    /// CPUs of its workers, round and round; anywhere without an entry.
    pub cpus: Vec<Cpus>,
    /// Of NVIDIA, the GPU's UUID or index, either of which CUDA takes; else empty.
    pub gpu: String,
    /// Of VA-API, the render node; else empty.
    pub render_node: PathBuf,
    /// How it pretends, if it does.
    pub simulation: Option<Simulation>,
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
        let how = match self.simulation {
            Some(_) => Kind::Simulated.as_str(),
            None => self.encoder.encoder.as_str(),
        };
        format!("{}/{how}", self.name).into()
    }

    /// Its encoder, if that is told a quality rather than a bit rate.
    pub fn rate_name(&self) -> Option<EncoderName> {
        match self.simulation {
            Some(_) => None,
            None => self.encoder.rate_name(),
        }
    }

    /// As admission sees it, if each worker keeps so many pipelines `warm` that can be kept.
    pub fn spec(&self, warm: usize) -> Spec {
        let keeps = self.simulation.is_some() || self.encoder.encoder.is_reusable();
        Spec {
            slots: self.workers,
            rates: self.rates,
            warm: if keeps { warm } else { 0 },
        }
    }

    /// What a worker must have in its environment to see this GPU and no other: CUDA numbers them
    /// anew among those that are visible.
    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            ("CUDA_VISIBLE_DEVICES", &self.gpu),
        ]
    }

    /// What a worker is told of it on its command line.
    pub fn arguments(&self) -> Vec<String> {
        let encoder = &self.encoder;
        let mut all = vec![
            format!("--device={}", self.name),
            format!("--encoder={}", encoder.encoder.as_str()),
            format!("--threads={}", encoder.threads),
            format!("--preset={}", encoder.preset),
        ];
        let node = encoder.render_node;
        all.extend(node.map(|number| format!("--render-node={number}")));
        if let Some(Simulation { pixel_rate, fault }) = self.simulation {
            all.push(format!("--pixel-rate={pixel_rate}"));
            if let Some((fault, every)) = fault {
                all.push(format!("--fault={}", fault.as_str()));
                all.push(format!("--fault-every={every}"));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Encoder;

    #[test]
    fn workers_take_their_cpus_in_turn() {
        let mut device = Device {
            name: "cpu".into(),
            kind: Kind::Cpu,
            workers: 4,
            finds_workers: false,
            encoder: EncoderConfig::default(),
            cpus: Vec::new(),
            gpu: String::new(),
            render_node: PathBuf::new(),
            simulation: None,
            rates: None,
        };
        assert_eq!(device.cpus_of(3), [0; 0]);
        device.cpus = ["0-1", "2,4"].map(|list| list.parse().unwrap()).into();
        assert_eq!(
            (device.cpus_of(0), device.cpus_of(3)),
            (&[0, 1][..], &[2, 4][..])
        );
        assert_eq!(&*device.label(), "cpu/x264");
        assert_eq!(device.spec(4).warm, 4);
        device.encoder.encoder = Encoder::Openh264;
        assert_eq!(device.spec(4).warm, 0, "each job has a new pipeline");
        assert_eq!(device.environment()[1], ("CUDA_VISIBLE_DEVICES", ""));
    }
}
