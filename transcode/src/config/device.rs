//! `[[device]]`: what does the work, where it is not left to be found.

use std::path::PathBuf;

use serde::Deserialize;

use crate::device::find::Found;
use crate::device::{Cpus, Device, Kind};
use crate::pipeline::{Encoder, EncoderConfig, Fault, Simulation};

use super::worker::Worker;

/// Workers of a GPU whose calibration has not told how many are best.
const GPU_WORKERS: usize = 2;

/// One of them. A device may be declared several times, under another name each time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// What it is.
    pub kind: Kind,
    /// Its name in metrics, in the catalog and in answers; empty for its kind and its number or
    /// node.
    #[serde(default)]
    pub name: String,
    /// How it encodes; by default `[encoder] encoder` on the CPU, and the GPU's own on a GPU.
    #[serde(default)]
    pub encoder: Option<Encoder>,
    /// Of NVIDIA, the GPU's index (as `nvidia-smi -L` counts) or UUID.
    #[serde(default)]
    pub gpu: String,
    /// Of VA-API, the render node.
    #[serde(default)]
    pub render_node: PathBuf,
    /// Worker processes, each with one job at a time: its slots. 0 for `[worker] count` on the CPU, 1
    /// of a simulated device, and on a GPU for what a calibration found best, else 2.
    #[serde(default)]
    pub workers: usize,
    /// CPUs of each worker; empty for `[worker] cpus` on the CPU.
    #[serde(default)]
    pub cpus: Vec<Cpus>,
    /// Of a simulated one, output pixels a second of each worker.
    #[serde(default)]
    pub pixel_rate: u64,
    /// Of a simulated one, what goes wrong with every `fault_every`th job.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Jobs until the fault; 0 for never.
    #[serde(default)]
    pub fault_every: u32,
}

impl Declared {
    /// Says what does not go together, if anything does not.
    pub(super) fn check(&self) -> Result<(), String> {
        let given = |set: bool, key, kind: Kind| match set && self.kind != kind {
            true => Err(format!(
                "{key} is for devices of kind {kind}, and this is {}",
                self.kind
            )),
            false => Ok(()),
        };
        given(!self.gpu.is_empty(), "gpu", Kind::Nvidia)?;
        given(
            !self.render_node.as_os_str().is_empty(),
            "render_node",
            Kind::Vaapi,
        )?;
        given(self.pixel_rate > 0, "pixel_rate", Kind::Simulated)?;
        given(self.fault.is_some(), "fault", Kind::Simulated)?;
        if self.kind == Kind::Vaapi && self.node_number().is_none() {
            return Err("render_node must be a path like /dev/dri/renderD128".to_owned());
        }
        if self.kind == Kind::Nvidia && self.gpu.is_empty() {
            return Err("gpu must be an index or a UUID, as nvidia-smi -L lists them".to_owned());
        }
        if self.kind == Kind::Simulated && self.pixel_rate == 0 {
            return Err("pixel_rate must be set for a simulated device".to_owned());
        }
        if let Some(encoder) = self.encoder.filter(|e| !self.kind.encoders().contains(e)) {
            let all: Vec<_> = self.kind.encoders().iter().map(|e| e.as_str()).collect();
            return Err(format!(
                "encoder {} is none of those of a {} device: {}",
                encoder.as_str(),
                self.kind,
                all.join(", ")
            ));
        }
        if self.workers > 256 {
            return Err("workers must be at most 256".to_owned());
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !self.name.chars().all(good) || self.name.len() > 64 {
            return Err("name must be letters, digits, '-', '_' and '.', 64 at most".to_owned());
        }
        Ok(())
    }

    /// The device, with what `[worker]` and `[encoder]` say where this says nothing.
    pub(super) fn device(&self, worker: &Worker, encoder: &EncoderConfig) -> Device {
        let cpu = self.kind == Kind::Cpu;
        let own = self.kind.encoders().first().copied();
        let default = if cpu { None } else { own };
        Device {
            name: self.name().into(),
            kind: self.kind,
            workers: match self.workers {
                0 if cpu => worker.processes(),
                0 if self.kind == Kind::Simulated => 1,
                0 => GPU_WORKERS,
                workers => workers,
            },
            finds_workers: match self.kind {
                Kind::Cpu => self.workers == 0 && worker.count == 0,
                Kind::Nvidia | Kind::Vaapi => self.workers == 0,
                Kind::Simulated => false,
            },
            encoder: EncoderConfig {
                encoder: self.encoder.or(default).unwrap_or(encoder.encoder),
                render_node: self.node_number(),
                ..encoder.clone()
            },
            cpus: match self.cpus.is_empty() && cpu {
                true => worker.cpus.clone(),
                false => self.cpus.clone(),
            },
            gpu: self.gpu.clone(),
            render_node: self.render_node.clone(),
            simulation: (self.kind == Kind::Simulated).then(|| Simulation {
                pixel_rate: self.pixel_rate,
                fault: self
                    .fault
                    .filter(|_| self.fault_every > 0)
                    .map(|f| (f, self.fault_every)),
            }),
            rates: None,
        }
    }

    fn node_number(&self) -> Option<u32> {
        let name = self.render_node.to_str()?.strip_prefix("/dev/dri/renderD");
        name?.parse().ok()
    }

    /// As it is told, or by what it is and where.
    pub(super) fn name(&self) -> String {
        let node = self.render_node.file_name().map(|n| n.to_string_lossy());
        match (self.name.as_str(), self.gpu.as_str(), node) {
            ("", "", None) => self.kind.to_string(),
            ("", "", Some(node)) => format!("{}-{node}", self.kind),
            ("", gpu, _) => format!("{}-{gpu}", self.kind),
            (name, ..) => name.to_owned(),
        }
    }

    /// The CPU, by what the rest of the file says.
    pub(super) fn cpu() -> Self {
        Self {
            kind: Kind::Cpu,
            name: String::new(),
            encoder: None,
            gpu: String::new(),
            render_node: PathBuf::new(),
            workers: 0,
            cpus: Vec::new(),
            pixel_rate: 0,
            fault: None,
            fault_every: 0,
        }
    }

    /// A GPU that was found.
    pub(super) fn found(found: &Found) -> Self {
        Self {
            kind: found.kind,
            name: found.name.clone(),
            gpu: found.gpu.clone(),
            render_node: match found.kind {
                Kind::Vaapi => found.node.clone(),
                _ => PathBuf::new(),
            },
            ..Self::cpu()
        }
    }
}
