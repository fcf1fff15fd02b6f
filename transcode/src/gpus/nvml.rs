//! The driver's library, NVML.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{
    EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};
use rackcast_service::status::Gpu;
use tokio::sync::watch;

use super::{Config, Found, Known, Named};

/// The number of an Xid that the driver does not tell.
const UNKNOWN_XID: u64 = 0;

/// Asks until nobody listens.
pub(super) fn run(config: &Config, known: &watch::Sender<Known>) {
    // One that cannot even be addressed any more is still known by its name.
    let mut uuids = BTreeMap::new();
    while !known.is_closed() {
        let error = match load(&config.library) {
            Ok(nvml) => session(config, &nvml, known, &mut uuids).err(),
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            let statement = unusable(&config.library, &error);
            tell(known, Known::new(statement, config.interval));
        }
        std::thread::sleep(config.interval);
    }
}

fn load(library: &str) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(OsStr::new(library)).init()
}

/// What the driver calls each GPU that answers.
pub(super) fn named(library: &str) -> Result<Vec<Named>, NvmlError> {
    let nvml = load(library)?;
    let named = |index| {
        let device = nvml.device_by_index(index)?;
        let (minor, uuid) = (device.minor_number()?, device.uuid()?);
        Ok::<_, NvmlError>(Named { minor, index, uuid })
    };
    let mut all = Vec::new();
    for index in 0..nvml.device_count()? {
        match named(index) {
            Ok(gpu) => all.push(gpu),
            Err(error) => log::warn!("GPU {index} cannot be used, its driver says: {error}"),
        }
    }
    Ok(all)
}

/// Why there is nothing to be asked.
pub(super) fn unusable(library: &str, error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) => {
            format!("no NVIDIA driver is installed: there is no {library}")
        }
        NvmlError::DriverNotLoaded => {
            "NVIDIA's driver is installed and not loaded, or this service may not use it".to_owned()
        }
        NvmlError::LibRmVersionMismatch => {
            "NVIDIA's driver was upgraded and the old one is still loaded: reboot".to_owned()
        }
        error => format!("NVIDIA's driver cannot be used: {error}"),
    }
}

/// Asks one loaded library until it fails as a whole, or nobody listens.
fn session(
    config: &Config,
    nvml: &Nvml,
    known: &watch::Sender<Known>,
    uuids: &mut BTreeMap<u32, String>,
) -> Result<(), NvmlError> {
    let driver = nvml.sys_driver_version().unwrap_or_default();
    let mut xids = BTreeMap::new();
    let events = subscribe(nvml);
    while !known.is_closed() {
        let count = nvml.device_count()?;
        let mut gpus: Vec<_> = (0..count)
            .map(|number| found(nvml, number, &driver, &xids))
            .collect();
        for Found { number, gpu, .. } in &mut gpus {
            match uuids.get(number).filter(|_| gpu.uuid.is_empty()) {
                Some(uuid) => gpu.uuid.clone_from(uuid),
                None => drop(uuids.insert(*number, gpu.uuid.clone())),
            }
        }
        let broken = gpus.iter().filter(|found| found.broken.is_some()).count();
        let statement = match (count, broken) {
            (0, _) => format!("NVIDIA's driver {driver} has no GPU"),
            (_, 0) => format!("NVIDIA's driver {driver} has {count} GPUs"),
            _ => format!("NVIDIA's driver {driver} has {count} GPUs, {broken} of them broken"),
        };
        let mut now = Known::new(statement, config.interval);
        now.gpus = gpus;
        tell(known, now);
        wait(events.as_ref(), config.interval, &mut xids);
    }
    Ok(())
}

/// Has the driver report critical errors of every GPU that can; `None` if it cannot report at all.
fn subscribe(nvml: &Nvml) -> Option<EventSet<'_>> {
    let mut events = nvml.create_event_set().ok()?;
    for number in 0..nvml.device_count().ok()? {
        let Ok(device) = nvml.device_by_index(number) else {
            continue;
        };
        // A set that was refused once is gone: without it there are no Xids, and all the rest.
        events = device
            .register_events(EventTypes::CRITICAL_XID_ERROR, events)
            .map_err(|error| log::info!("GPU {number} reports no Xid errors: {}", error.error))
            .ok()?;
    }
    Some(events)
}

/// Rests for an interval, noting errors that are reported meanwhile; one ends the rest at once.
fn wait(events: Option<&EventSet<'_>>, interval: Duration, xids: &mut BTreeMap<u32, u64>) {
    let Some(events) = events else {
        return std::thread::sleep(interval);
    };
    let began = Instant::now();
    let limit = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    match events.wait(limit) {
        Ok(event) => {
            let xid = match event.event_data {
                Some(XidError::Value(xid)) => xid,
                _ => UNKNOWN_XID,
            };
            if let Ok(number) = event.device.index() {
                log::error!(rackcast_reason = "xid"; "GPU {number} reports Xid {xid}");
                xids.insert(number, xid);
            }
        }
        Err(NvmlError::Timeout) => {}
        Err(_) => std::thread::sleep(interval.saturating_sub(began.elapsed())),
    }
}

fn found(nvml: &Nvml, number: u32, driver: &str, xids: &BTreeMap<u32, u64>) -> Found {
    let device = nvml.device_by_index(number);
    let mut gpu = Gpu {
        driver: driver.to_owned(),
        last_xid: xids.get(&number).copied(),
        ..Gpu::default()
    };
    let broken = match device {
        // One that has fallen off the bus is still counted, and answers to nothing.
        Ok(device) => describe(&device, &mut gpu).err(),
        Err(error) => Some(error),
    };
    Found {
        number,
        gpu,
        broken: broken.map(|error| format!("its driver says: {error}")),
    }
}

/// Fills in what the driver tells. What a GPU does not have is no error, what it is called is.
fn describe(device: &Device<'_>, gpu: &mut Gpu) -> Result<(), NvmlError> {
    let memory = device.memory_info().ok();
    gpu.memory_total = memory.as_ref().map(|memory| memory.total);
    gpu.memory_used = memory.map(|memory| memory.used);
    gpu.temperature_c = device.temperature(TemperatureSensor::Gpu).ok();
    gpu.slowdown_c = device
        .temperature_threshold(TemperatureThreshold::Slowdown)
        .ok();
    gpu.encoder_sessions = device.encoder_stats().ok().map(|stats| stats.session_count);
    gpu.encoder_utilisation = device
        .encoder_utilization()
        .ok()
        .map(|used| used.utilization);
    gpu.ecc_uncorrected = device
        .total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)
        .ok();
    gpu.product = device.name()?;
    gpu.uuid = device.uuid()?;
    // A GPU that is lost remembers its name, and says so when it is asked how it is.
    match device.temperature(TemperatureSensor::Gpu) {
        Err(error @ (NvmlError::GpuLost | NvmlError::Unknown)) => Err(error),
        _ => Ok(()),
    }
}

fn tell(known: &watch::Sender<Known>, now: Known) {
    let before = known.borrow().statement.clone();
    if before != now.statement {
        log::info!("{}", now.statement);
    }
    known.send_replace(now);
}
