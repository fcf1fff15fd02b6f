//! What NVIDIA's driver says of the GPUs of this machine.
//!
//! The driver's library is loaded while the node runs, from wherever the system has it: a machine
//! without GPUs, without a driver or with a broken one is a plain statement and no error. A GPU on which
//! no worker is set to encode is a device that is idle; one that its driver has lost has failed.
//!
//! What makes it act: a clock of its own, and errors (Xid) that the driver reports in between. A driver
//! may hang in a call, so that it is asked in a thread that nobody waits for; what it said last is old
//! then, and that is said too. It recovers by beginning anew: while something is broken the library is
//! loaded again each time.

mod metrics;
mod nvml;

use std::time::{Duration, Instant};

use rackcast_service::status::{Device, DeviceState, Gpu};
use serde::Deserialize;
use tokio::sync::watch;

pub use metrics::Metrics;

/// `[gpu]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The library of NVIDIA's driver; empty to leave GPUs alone.
    pub library: String,
    /// Time between two questions to it.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            library: "libnvidia-ml.so.1".to_owned(),
            interval: Duration::from_secs(5),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self.interval >= Duration::from_millis(100) {
            true => Ok(()),
            false => Err("interval must be at least 100ms"),
        }
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// In a line that stays the same while nothing changes.
    pub statement: String,
    /// The GPUs, by their number.
    pub gpus: Vec<Found>,
    asked: Instant,
    interval: Duration,
}

/// A GPU that the driver knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The driver's number of it.
    pub number: u32,
    /// What the driver says of it.
    pub gpu: Gpu,
    /// Why it cannot be used, if it cannot.
    pub broken: Option<String>,
}

/// What the driver calls a GPU by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The number of its node: `/dev/nvidia3` has 3. The kernel gives it, in whichever order.
    pub minor: u32,
    /// The driver's number of it, by its place on the bus, as `nvidia-smi -L` lists them.
    pub index: u32,
    /// What is the same wherever it is plugged in, and whatever else is visible.
    pub uuid: String,
}

/// What the driver calls each GPU that answers to it.
///
/// # Errors
/// Why there is nothing to be asked, for a human.
pub fn named(library: &str) -> Result<Vec<Named>, String> {
    nvml::named(library).map_err(|error| nvml::unusable(library, &error))
}

/// Questions that may go unanswered until the driver is taken to hang.
const PATIENCE: u32 = 3;

impl Known {
    fn new(statement: impl Into<String>, interval: Duration) -> Self {
        Self {
            statement: statement.into(),
            gpus: Vec::new(),
            asked: Instant::now(),
            interval,
        }
    }

    /// What there is to say at `now`.
    pub fn statement(&self, now: Instant) -> &str {
        match self.hangs(now) {
            true => "NVIDIA's driver does not answer any more",
            false => &self.statement,
        }
    }

    /// The GPUs as devices of the node.
    pub fn devices(&self, now: Instant) -> Vec<Device> {
        let hangs = self.hangs(now);
        let device = |found: &Found| {
            let broken = match hangs {
                true => Some("its driver does not answer any more".to_owned()),
                false => found.broken.clone(),
            };
            Device {
                name: format!("nvidia-{}", found.number),
                kind: "nvidia".to_owned(),
                state: match broken {
                    Some(_) => DeviceState::Failed,
                    None => DeviceState::Idle,
                },
                reason: broken.unwrap_or_default(),
                gpu: Some(found.gpu.clone()),
            }
        };
        self.gpus.iter().map(device).collect()
    }

    fn hangs(&self, now: Instant) -> bool {
        let limit = PATIENCE * self.interval.max(Duration::from_secs(1));
        !self.interval.is_zero() && now.saturating_duration_since(self.asked) > limit
    }
}

/// Asks the driver until the process ends.
pub fn watch(config: &Config) -> watch::Receiver<Known> {
    if config.library.is_empty() {
        let nothing = Known::new("NVIDIA's driver is not asked (gpu.library)", Duration::ZERO);
        return watch::channel(nothing).1;
    }
    let (known, receiver) = watch::channel(Known::new(
        "NVIDIA's driver was not asked yet",
        config.interval,
    ));
    let config = config.clone();
    let started = std::thread::Builder::new()
        .name("nvml".to_owned())
        .spawn(move || nvml::run(&config, &known));
    if let Err(error) = started {
        log::error!("NVIDIA's driver cannot be asked: no thread: {error}");
    }
    receiver
}
