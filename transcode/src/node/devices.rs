//! What does the work, and what it can do.

use std::path::Path;

use rackcast_service::process::OWN_PROGRAM;
use tokio_util::sync::CancellationToken;

use crate::calibrate::{self, Report};
use crate::config::Config;
use crate::device::find::Found;
use crate::device::{Device, look};
use crate::worker::Blueprint;

/// How workers are started.
pub(super) fn blueprint(config: &Config) -> Blueprint {
    Blueprint {
        program: OWN_PROGRAM.into(),
        worker: config.worker.clone(),
        log_level: config.log_level,
    }
}

/// The devices as they are declared or found, with what is known of their speed; those of which nothing is
/// are measured, which takes seconds.
pub(super) async fn measured(
    config: &Config,
    like: &Blueprint,
    shutdown: &CancellationToken,
) -> Vec<Device> {
    let mut devices = config.devices(&look(config).await);
    let state = config.state_folder();
    let measuring = calibrate::at_start(&mut devices, state.as_deref(), like);
    shutdown.run_until_cancelled(measuring).await;
    devices
}

/// Measures what this machine's devices can do, thoroughly.
pub async fn calibrate(config: &Config) -> Report {
    let devices = config.devices(&look(config).await);
    let state = config.state_folder();
    calibrate::thorough(&devices, state.as_deref(), &blueprint(config)).await
}

/// The GPUs of this machine, where it is not said what does the work.
async fn look(config: &Config) -> Vec<Found> {
    if !config.device.is_empty() {
        return Vec::new();
    }
    let found = look::ask(Path::new(OWN_PROGRAM), &config.gpu.library).await;
    let found = found.unwrap_or_else(|e| {
        log::warn!("GPUs were not looked for, and the CPU works alone: {e}");
        Vec::new()
    });
    for gpu in &found {
        match gpu.is_usable() {
            true => log::info!(rackcast_device = gpu.name; "{} was found", gpu.name),
            false => log::warn!(rackcast_device = gpu.name; "{} idles: {}", gpu.name, gpu.lacks),
        }
    }
    found
}
