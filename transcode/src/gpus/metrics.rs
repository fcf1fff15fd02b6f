//! What Prometheus sees of GPUs: the figures that their driver gives, none for what it does not tell.

use prometheus::{GaugeVec, Opts, Registry};
use rackcast_service::metrics;
use rackcast_service::status::{Device, Gpu};

type Figure = fn(&Gpu) -> Option<f64>;

const FIGURES: [(&str, &str, Figure); 6] = [
    (
        "rackcast_transcode_gpu_memory_used_bytes",
        "Memory of the GPU in use, by all processes.",
        |gpu| gpu.memory_used.map(|bytes| bytes as f64),
    ),
    (
        "rackcast_transcode_gpu_memory_bytes",
        "Memory of the GPU.",
        |gpu| gpu.memory_total.map(|bytes| bytes as f64),
    ),
    (
        "rackcast_transcode_gpu_temperature_celsius",
        "Temperature of the GPU.",
        |gpu| gpu.temperature_c.map(f64::from),
    ),
    (
        "rackcast_transcode_gpu_encoder_sessions",
        "Encoder sessions that are open on the GPU, of all processes.",
        |gpu| gpu.encoder_sessions.map(f64::from),
    ),
    (
        "rackcast_transcode_gpu_encoder_busy_ratio",
        "Share of the time in which the GPU's encoder works.",
        |gpu| {
            gpu.encoder_utilisation
                .map(|percent| f64::from(percent) / 100.0)
        },
    ),
    (
        "rackcast_transcode_gpu_ecc_uncorrected_errors",
        "Memory errors that could not be corrected, since the driver was loaded.",
        |gpu| gpu.ecc_uncorrected.map(|errors| errors as f64),
    ),
];

/// A gauge for each figure.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<(GaugeVec, Figure)>);

impl Metrics {
    /// Registers all.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let register = |(name, help, figure): (&str, &str, Figure)| {
            let gauge = GaugeVec::new(Opts::new(name, help), &["device"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok((gauge, figure))
        };
        FIGURES
            .into_iter()
            .map(register)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Shows what is known now of these devices; what is no longer known, or no longer there, is shown
    /// no more.
    pub fn show<'a>(&self, devices: &'a [Device]) {
        for (gauge, figure) in &self.0 {
            let known = |device: &'a Device| {
                let value = device.gpu.as_ref().and_then(figure)?;
                Some((device.name.as_str(), value))
            };
            metrics::show(gauge, devices.iter().filter_map(known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_service::status::DeviceState;

    #[test]
    fn what_a_driver_does_not_tell_is_not_shown() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let gpu = Gpu {
            encoder_utilisation: Some(17),
            ..Gpu::default()
        };
        let device = Device {
            name: "nvidia-0".to_owned(),
            kind: "nvidia".to_owned(),
            state: DeviceState::Working,
            reason: String::new(),
            gpu: Some(gpu),
        };
        let shown = |devices: &[Device]| {
            metrics.show(devices);
            let families = registry.gather();
            let all = families.iter().flat_map(|family| {
                let values = family
                    .get_metric()
                    .iter()
                    .map(|m| m.get_gauge().get_value());
                values.map(|value| (family.name().to_owned(), value))
            });
            all.collect::<Vec<_>>()
        };
        let name = "rackcast_transcode_gpu_encoder_busy_ratio".to_owned();
        assert_eq!(shown(&[device]), [(name, 0.17)]);
        assert_eq!(shown(&[]), []);
    }
}
