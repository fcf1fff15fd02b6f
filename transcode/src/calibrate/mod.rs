//! What a device can do, measured.
//!
//! A device is measured as it will be used: its workers are started, all of them work at once, and the
//! jobs go the way of every job. Two ladders of the same second of pictures, a full one and its lowest
//! rung, give two equations for the two rates, of decoding and of encoding ([`Rates::solve`]).
//!
//! What was measured is [kept](store) with a fingerprint of what it was measured on; a node that
//! finds no measurement of its devices as they are makes one before it serves, which takes seconds
//! ([`at_start`]). `rackcast-transcode calibrate` takes longer and tries how many workers are best.
//! From then on what jobs really take [corrects](crate::admission::Speed) it.

mod busy;
mod error;
mod fingerprint;
mod measure;
mod report;
mod store;

use std::path::Path;

use rackcast_service::notify;

use crate::device::Device;
use crate::worker::Blueprint;

pub use error::CalibrationError;
pub use fingerprint::Hardware;
pub use report::{DeviceReport, Report};
pub use store::{Entry, Store};

/// Gives each device what is known of it, and measures those of which nothing is.
///
/// Each result is kept at once, and systemd is asked for the time that a device may take: a start that is
/// broken off goes on from there. Whatever goes wrong is logged: a node without a calibration learns from
/// its first jobs.
pub async fn at_start(devices: &mut [Device], state: Option<&Path>, like: &Blueprint) {
    let Some(state) = state else {
        log::debug!("no state_dir: nothing is kept of what devices can do");
        return;
    };
    let hardware = Hardware::read(Path::new("/"));
    let mut store = Store::read(state);
    for device in devices {
        let fingerprint = hardware.fingerprint(device);
        if let Some(entry) = store.get(&device.name, &fingerprint) {
            if let Some(best) = entry.best_workers.filter(|_| device.finds_workers) {
                device.workers = best;
            }
            device.rates = Some(entry.rates);
            continue;
        }
        notify::extend(measure::LONGEST);
        match measure::at(like, device, device.workers).await {
            Ok(rates) => {
                log::info!(
                    rackcast_device = device.name.to_string();
                    "{} was calibrated: {:.0} million output pixels a second for each of {} workers",
                    device.name, rates.ladder() / 1e6, device.workers
                );
                device.rates = Some(rates);
                let best_workers = None;
                store.set(
                    &device.name,
                    Entry {
                        fingerprint,
                        rates,
                        best_workers,
                    },
                );
                if let Err(e) = store.write(state) {
                    log::warn!("the calibration was not kept in {}: {e}", state.display());
                }
            }
            Err(e) => log::warn!(
                rackcast_device = device.name.to_string();
                "{} was not calibrated, its first jobs will tell: {e}", device.name
            ),
        }
    }
}

/// Measures all devices, with more and more workers, and keeps what came out.
pub async fn thorough(devices: &[Device], state: Option<&Path>, like: &Blueprint) -> Report {
    let hardware = Hardware::read(Path::new("/"));
    let mut store = state.map(Store::read).unwrap_or_default();
    let mut report = Report {
        busy: busy::share().await,
        ..Report::default()
    };
    for device in devices {
        let result = measure::search(like, device).await;
        if let Ok(steps) = &result
            && let Some(best) = report::best(steps)
        {
            // Slots are as they will be: the best number, or that which is told.
            let told = steps.iter().find(|step| step.workers == device.workers);
            let used = told.filter(|_| !device.finds_workers).unwrap_or(best);
            let entry = Entry {
                fingerprint: hardware.fingerprint(device),
                rates: used.rates,
                best_workers: Some(best.workers),
            };
            store.set(&device.name, entry);
        }
        report.devices.push(DeviceReport::new(device, result));
    }
    report.kept = state.and_then(|state| match store.write(state) {
        Ok(file) => Some(file),
        Err(e) => {
            log::warn!("the calibration was not kept in {}: {e}", state.display());
            None
        }
    });
    report
}
