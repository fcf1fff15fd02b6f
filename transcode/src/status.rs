//! What the node says of itself on its status socket, from which the agent makes its
//! registration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rackcast_segment::wire::PROTOCOL;
use rackcast_segment::wire::load::Load;
use rackcast_service::status::{self, DeviceState, Health, Role, ServiceStatus};
use rackcast_service::tls;

use crate::admission::SlotId;
use crate::device::{Device, Kind};
use crate::gpus;
use crate::scheduler::Slot;

/// Workers speak five times a second, and this status is made anew ten times.
const BEAT_MS: u64 = 300;

/// What does not change while the node runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The machine's name in the fleet.
    pub node: String,
    /// The service's name on the machine.
    pub instance: String,
    /// Whom its certificate names, if it speaks TLS.
    pub identity: Option<tls::Identity>,
    /// The bound address of the front.
    pub segments: SocketAddr,
    /// The bound address of the admin endpoints.
    pub admin: SocketAddr,
    /// What does the work.
    pub devices: Vec<Device>,
}

impl Identity {
    /// The status of a node with this load, these slots and these GPUs.
    ///
    /// A slot that has failed lowers what the catalog says of the node's capacity; one that is
    /// between two workers does not.
    pub fn status(
        &self,
        load: &Load,
        slots: &BTreeMap<SlotId, Slot>,
        gpus: &gpus::Known,
        progress: u64,
    ) -> ServiceStatus {
        let now = Instant::now();
        let capacity = self.workers().saturating_sub(failed(slots)).max(1);
        let endpoints = [("segments", self.segments), ("admin", self.admin)];
        let meta = [
            ("protocol", PROTOCOL.to_string()),
            ("slots", capacity.to_string()),
            ("pixel-rate", coarse(load.pixel_rate).to_string()),
        ];
        let identity = self.identity.as_ref();
        let identity = identity.map(|identity| ("tls-identity", identity.to_string()));
        ServiceStatus {
            role: Role::Transcode,
            instance: self.instance.clone(),
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            protocol: PROTOCOL,
            ready: load.slots > 0 && !load.draining,
            draining: load.draining,
            health: self.health(load, slots),
            endpoints: BTreeMap::from(endpoints.map(|(name, at)| (name.to_owned(), at))),
            tags: self.tags(slots),
            meta: meta
                .into_iter()
                .chain(identity)
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            weight: capacity,
            progress,
            still_ms: None,
            beat_ms: BEAT_MS,
            work: u64::from(load.busy) + u64::from(load.queued),
            devices: self.devices(slots, gpus.devices(now)),
            gpu_driver: gpus.statement(now).to_owned(),
            generations: Vec::new(),
            waiting: Default::default(),
        }
    }

    /// Workers that should be up.
    pub fn workers(&self) -> u32 {
        let workers: usize = self.devices.iter().map(|device| device.workers).sum();
        u32::try_from(workers).unwrap_or(u32::MAX)
    }

    /// What kinds of devices there are, and what any of them makes and reads.
    fn tags(&self, slots: &BTreeMap<SlotId, Slot>) -> Vec<String> {
        let hevc = slots.values().any(|slot| slot.hevc).then_some("hevc");
        let kinds: BTreeSet<_> = self.devices.iter().map(|d| d.kind.as_str()).collect();
        kinds
            .into_iter()
            .chain(["h264"])
            .chain(hevc)
            .map(str::to_owned)
            .collect()
    }

    /// Where the CPU is the device, each worker is one; a GPU's workers are one together, with what its
    /// driver says. GPUs that nobody works on follow.
    fn devices(
        &self,
        slots: &BTreeMap<SlotId, Slot>,
        mut gpus: Vec<status::Device>,
    ) -> Vec<status::Device> {
        let mut all = Vec::new();
        for (index, device) in self.devices.iter().enumerate() {
            let one = |name: String, (state, reason)| status::Device {
                name,
                kind: device.kind.as_str().to_owned(),
                state,
                reason,
                gpu: None,
            };
            let id = |slot| SlotId {
                device: index,
                slot,
            };
            let workers = (0..device.workers).map(|slot| (slot, state(slots.get(&id(slot)))));
            if device.kind == Kind::Cpu {
                all.extend(workers.map(|(n, state)| one(format!("{}-{n}", device.name), state)));
                continue;
            }
            // It works if one of them does, else it starts, else it has failed.
            let best = workers.map(|(_, state)| state).min();
            let best = best.unwrap_or((DeviceState::Failed, "it has no workers".to_owned()));
            let mut own = one(device.name.to_string(), best);
            if let Some(at) = gpus.iter().position(|gpu| is_same(device, gpu)) {
                let known = gpus.remove(at);
                own.gpu = known.gpu;
                if known.state == DeviceState::Failed {
                    (own.state, own.reason) = (known.state, known.reason);
                }
            }
            all.push(own);
        }
        all.append(&mut gpus);
        all
    }

    fn health(&self, load: &Load, slots: &BTreeMap<SlotId, Slot>) -> Health {
        let (up, all) = (load.slots, self.workers());
        let mut summary = format!("{up} of {all} workers up");
        let down = |(_, slot): &(&SlotId, &Slot)| slot.state != DeviceState::Working;
        if let Some((id, slot)) = slots.iter().find(down).filter(|_| up < all) {
            let device = self
                .devices
                .get(id.device)
                .filter(|_| self.devices.len() > 1);
            let device = device.map_or_else(String::new, |d| format!(" of {}", d.name));
            let number = self.number(*id);
            summary = format!("{summary}; worker {number}{device}: {}", slot.why);
        }
        match up {
            0 => Health::critical(summary),
            up if up < all => Health::warning(summary),
            _ => Health::passing(summary),
        }
    }

    /// The number of a slot among all of the node.
    fn number(&self, id: SlotId) -> usize {
        let before = self.devices.iter().take(id.device);
        before.map(|device| device.workers).sum::<usize>() + id.slot
    }
}

/// Whether the driver speaks of this device: by its index or its UUID.
fn is_same(device: &Device, gpu: &status::Device) -> bool {
    let uuid = gpu.gpu.as_ref().map_or("", |gpu| gpu.uuid.as_str());
    let named = gpu.name == format!("{}-{}", Kind::Nvidia, device.gpu);
    device.kind == Kind::Nvidia && (named || (!uuid.is_empty() && uuid == device.gpu))
}

fn state(slot: Option<&Slot>) -> (DeviceState, String) {
    slot.map_or((DeviceState::Starting, String::new()), |slot| {
        (slot.state, slot.why.clone())
    })
}

/// How many slots have failed.
fn failed(slots: &BTreeMap<SlotId, Slot>) -> u32 {
    let failed = slots.values().filter(|s| s.state == DeviceState::Failed);
    u32::try_from(failed.count()).unwrap_or(u32::MAX)
}

/// The number of workers as it is shown: a worker that is replaced is back within a second,
/// and the whole fleet need not hear of it. One that stays away is missed, and one that has failed
/// is not waited for.
#[derive(Debug, Default)]
pub struct Steady {
    shown: u32,
    fewer_since: Option<Instant>,
}

/// How long a worker may be away before it is missed.
const PATIENCE: Duration = Duration::from_secs(2);

impl Steady {
    /// What to show while `up` workers of `all` are up, and these slots say why others are not.
    pub fn of(&mut self, now: Instant, up: u32, all: u32, slots: &BTreeMap<SlotId, Slot>) -> u32 {
        self.show(now, up, all.saturating_sub(failed(slots)))
    }

    /// The same where not more than `hope` can be expected.
    fn show(&mut self, now: Instant, up: u32, hope: u32) -> u32 {
        if up >= self.shown {
            *self = Self {
                shown: up,
                fewer_since: None,
            };
        } else {
            let since = *self.fewer_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= PATIENCE {
                *self = Self {
                    shown: up,
                    fewer_since: None,
                };
            }
        }
        self.shown = self.shown.min(hope.max(up));
        self.shown
    }
}

/// The power of two at or below: what stands in the catalog must not change with every job.
fn coarse(rate: f64) -> u64 {
    let rate = rate.clamp(0.0, 1e15) as u64;
    rate.checked_ilog2().map_or(0, |log| 1 << log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_service::status::HealthState;

    use crate::config::{self, Config};

    fn status(up: u32, pixel_rate: f64, draining: bool) -> ServiceStatus {
        let identity = Identity {
            node: "n".to_owned(),
            identity: None,
            instance: "1".to_owned(),
            segments: ([127, 0, 0, 1], 7400).into(),
            admin: ([127, 0, 0, 1], 9612).into(),
            devices: Config {
                worker: config::Worker {
                    count: 2,
                    ..config::Worker::default()
                },
                ..Config::default()
            }
            .devices(&[]),
        };
        let load = Load {
            slots: up,
            busy: 0,
            queued: 0,
            pixel_rate,
            wait_ms: 0,
            draining,
        };
        let working = |n| (id(n), slot(DeviceState::Working));
        let mut slots: BTreeMap<SlotId, Slot> = (0..up as usize).map(working).collect();
        slots.extend((up as usize..2).map(|n| (id(n), slot(DeviceState::Failed))));
        let gpus = gpus::watch(&gpus::Config {
            library: String::new(),
            ..gpus::Config::default()
        });
        identity.status(&load, &slots, &gpus.borrow(), 7)
    }

    fn id(slot: usize) -> SlotId {
        SlotId { device: 0, slot }
    }

    fn slot(state: DeviceState) -> Slot {
        let why = match state {
            DeviceState::Working => "",
            _ => "why",
        };
        Slot {
            state,
            why: why.to_owned(),
            hevc: false,
        }
    }

    #[test]
    fn health_follows_the_workers() {
        for (up, state) in [
            (0, HealthState::Critical),
            (1, HealthState::Warning),
            (2, HealthState::Passing),
        ] {
            assert_eq!(status(up, 0.0, false).health.state, state);
        }
        let summary = |up| status(up, 0.0, false).health.summary;
        assert_eq!(summary(1), "1 of 2 workers up; worker 1: why");
        assert_eq!(summary(2), "2 of 2 workers up");
        assert!(status(1, 0.0, false).ready);
        assert!(!status(0, 0.0, false).ready && !status(2, 0.0, true).ready);
    }

    #[test]
    fn a_failed_device_lowers_the_capacity_and_one_that_starts_does_not() {
        let node = status(1, 0.0, false);
        assert_eq!((node.weight, node.meta["slots"].as_str()), (1, "1"));
        let states: Vec<_> = node.devices.iter().map(|d| d.state).collect();
        assert_eq!(states, [DeviceState::Working, DeviceState::Failed]);
        assert_eq!(node.devices[1].reason, "why");
        assert_eq!(status(2, 0.0, false).weight, 2);
        assert_eq!(status(0, 0.0, false).weight, 1, "Consul takes no less");
        let slots = BTreeMap::from([(id(0), slot(DeviceState::Starting))]);
        assert_eq!(failed(&slots), 0);
    }

    #[test]
    fn a_failed_worker_is_not_waited_for() {
        let (mut steady, now) = (Steady::default(), Instant::now());
        assert_eq!([steady.show(now, 2, 2), steady.show(now, 1, 2)], [2, 2]);
        assert_eq!([steady.show(now, 1, 1), steady.show(now, 0, 0)], [1, 0]);
        assert_eq!(steady.show(now, 2, 2), 2);
    }

    #[test]
    fn a_worker_is_missed_only_when_it_stays_away() {
        let (mut steady, start) = (Steady::default(), Instant::now());
        let mut show = |ms, up| steady.show(start + Duration::from_millis(ms), up, 2);
        assert_eq!([show(0, 0), show(1, 2)], [0, 2], "more is believed at once");
        assert_eq!([show(10, 1), show(2_009, 0), show(2_010, 1)], [2, 2, 1]);
        assert_eq!([show(3_000, 0), show(3_500, 1), show(4_000, 0)], [1, 1, 1]);
        assert_eq!([show(5_999, 0), show(6_000, 0), show(6_001, 2)], [1, 0, 2]);
    }

    #[test]
    fn what_the_catalog_sees_does_not_waver() {
        assert_eq!(status(2, 100e6, false), status(2, 110e6, false));
        assert_eq!(status(2, 0.0, false).meta["slots"], "2");
        assert_eq!(status(2, 0.0, false).meta["pixel-rate"], "0");
    }
}
