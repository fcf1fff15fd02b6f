//! How busy the node and each of its devices are.

use prometheus::{GaugeVec, IntGauge};
use rackcast_segment::wire::load;
use rackcast_service::metrics::Make;

use super::OF_DEVICE;
use crate::admission::DeviceLoad;

/// Of the node as a whole, and of each device.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    slots: IntGauge,
    busy: IntGauge,
    queued: IntGauge,
    pixel_rate: IntGauge,
    device_slots: GaugeVec,
    device_busy: GaugeVec,
    device_queued: GaugeVec,
    device_ratio: GaugeVec,
    device_slowdown: GaugeVec,
    device_pixel_rate: GaugeVec,
}

impl Load {
    pub(super) fn register(make: Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            slots: make.gauge("rackcast_transcode_slots", "Workers that are up.")?,
            busy: make.gauge("rackcast_transcode_jobs_running", "Jobs at a worker.")?,
            queued: make.gauge(
                "rackcast_transcode_jobs_queued",
                "Jobs uploading or waiting.",
            )?,
            pixel_rate: make.gauge(
                "rackcast_transcode_pixels_per_second",
                "Output pixels a second of the default ladder, as measured.",
            )?,
            device_slots: make.fractions(
                "rackcast_transcode_device_slots",
                "Workers that are up.",
                &OF_DEVICE,
            )?,
            device_busy: make.fractions(
                "rackcast_transcode_device_jobs_running",
                "Jobs at a worker of the device.",
                &OF_DEVICE,
            )?,
            device_queued: make.fractions(
                "rackcast_transcode_device_jobs_queued",
                "Jobs uploading to the device or waiting for it.",
                &OF_DEVICE,
            )?,
            device_ratio: make.fractions(
                "rackcast_transcode_device_load_ratio",
                "Busy time over media time of the device's streams, for each slot.",
                &OF_DEVICE,
            )?,
            device_slowdown: make.fractions(
                "rackcast_transcode_device_slowdown_ratio",
                "What jobs take over what they should by the calibration.",
                &OF_DEVICE,
            )?,
            device_pixel_rate: make.fractions(
                "rackcast_transcode_device_pixels_per_second",
                "Output pixels a second of the default ladder, as measured.",
                &OF_DEVICE,
            )?,
        })
    }

    pub(crate) fn node(&self, load: &load::Load) {
        self.slots.set(load.slots.into());
        self.busy.set(load.busy.into());
        self.queued.set(load.queued.into());
        self.pixel_rate.set(load.pixel_rate as i64);
    }

    pub(crate) fn device(&self, device: &str, load: &DeviceLoad) {
        for (gauge, value) in [
            (&self.device_slots, load.slots as f64),
            (&self.device_busy, load.busy as f64),
            (&self.device_queued, load.queued as f64),
            (&self.device_ratio, load.ratio),
            (&self.device_slowdown, load.factor),
            (&self.device_pixel_rate, load.pixel_rate),
        ] {
            gauge.with_label_values(&[device]).set(value);
        }
    }
}
