//! The devices of a service: worker heartbeats and self-tests, as the service itself keeps them.
//! Pure.
//!
//! A worker that falls silent, dies or fails its self-test is the service's to replace; one that it
//! has given up for now is a failed device. Some of them are a warning, all of them the end: the
//! service can do nothing, whatever it says of its health.

use rackcast_service::status::{Device, DeviceState, HealthState};

use super::Finding;

/// What is to be thought of these devices. Those that nobody works on are no capacity.
pub fn judge(devices: &[Device]) -> Finding {
    let working = devices
        .iter()
        .filter(|device| device.state != DeviceState::Idle);
    let all = working.count();
    let failed: Vec<_> = devices
        .iter()
        .filter(|device| device.state == DeviceState::Failed)
        .collect();
    let Some(first) = failed.first() else {
        return Finding::well("no device has failed");
    };
    let some = failed.len();
    Finding {
        state: match some == all {
            true => HealthState::Critical,
            false => HealthState::Warning,
        },
        line: format!(
            "{some} of {all} devices failed; {}: {}",
            first.name, first.reason
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: usize, state: DeviceState) -> Device {
        Device {
            name: format!("cpu-{number}"),
            kind: "cpu".to_owned(),
            state,
            reason: "it failed its self-test".to_owned(),
            gpu: None,
        }
    }

    #[test]
    fn one_is_a_warning_and_all_are_the_end() {
        let found = |states: &[DeviceState]| {
            let devices: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(i, state)| device(i, *state))
                .collect();
            judge(&devices)
        };
        use DeviceState::{Failed, Idle, Starting, Working};
        assert_eq!(found(&[]).state, HealthState::Passing);
        assert_eq!(found(&[Working, Starting]).state, HealthState::Passing);
        let one = found(&[Working, Failed]);
        assert_eq!(
            one,
            Finding::warning("1 of 2 devices failed; cpu-1: it failed its self-test")
        );
        assert_eq!(found(&[Failed, Failed]).state, HealthState::Critical);
        assert_eq!(found(&[Failed, Idle]).state, HealthState::Critical);
        assert_eq!(found(&[Working, Idle]).state, HealthState::Passing);
    }
}
