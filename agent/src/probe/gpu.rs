//! GPUs that are hot, or whose driver reports errors, as the service that has them tells. Pure.

use rackcast_service::status::Device;

use super::{Finding, Gpu as Config, sum};

/// What is to be thought of the GPUs among these devices.
pub fn judge(devices: &[Device], config: Config) -> Finding {
    let mut findings = Vec::new();
    for device in devices {
        let (Some(gpu), name) = (&device.gpu, &device.name) else {
            continue;
        };
        let limit = config.max_temperature_c;
        let limit = gpu.slowdown_c.map_or(limit, |slowdown| limit.min(slowdown));
        if gpu.temperature_c.is_some_and(|degrees| degrees >= limit) {
            findings.push(Finding::warning(format!(
                "{name} is at {limit} °C or above"
            )));
        }
        if gpu.ecc_uncorrected.is_some_and(|errors| errors > 0) {
            findings.push(Finding::warning(format!("{name} has memory errors")));
        }
        if let Some(xid) = gpu.last_xid {
            findings.push(Finding::warning(format!("{name} reported Xid {xid}")));
        }
    }
    sum(&findings).unwrap_or_else(|| Finding::well("no GPU complains"))
}

#[cfg(test)]
mod tests {
    use rackcast_service::status::{DeviceState, Gpu, HealthState};

    use super::*;

    fn judged(gpu: Gpu) -> Finding {
        let device = Device {
            name: "nvidia-0".to_owned(),
            kind: "nvidia".to_owned(),
            state: DeviceState::Working,
            reason: String::new(),
            gpu: Some(gpu),
        };
        judge(&[device], Config::default())
    }

    #[test]
    fn a_gpu_is_hot_by_our_limit_or_its_own() {
        let at = |degrees, slowdown_c| {
            judged(Gpu {
                temperature_c: Some(degrees),
                slowdown_c,
                ..Gpu::default()
            })
            .state
        };
        assert_eq!(at(89, None), HealthState::Passing);
        assert_eq!(at(90, Some(95)), HealthState::Warning);
        assert_eq!(at(83, Some(83)), HealthState::Warning);
    }

    #[test]
    fn errors_are_told_and_silence_is_none() {
        assert_eq!(judged(Gpu::default()).state, HealthState::Passing);
        let found = judged(Gpu {
            ecc_uncorrected: Some(2),
            last_xid: Some(79),
            ..Gpu::default()
        });
        let line = "nvidia-0 has memory errors; nvidia-0 reported Xid 79";
        assert_eq!(found, Finding::warning(line));
    }
}
