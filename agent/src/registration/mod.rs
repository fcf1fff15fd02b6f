//! From what a service says of itself to what Consul is told. Pure.
//!
//! - Name `<prefix>-<role>`, ID `<prefix>-<role>-<node>-<instance>`.
//! - The port is the one that the role's peers use: publishers of an ingest (`rtmp`), ingests of a
//!   transcode node (`segments`). The other ports stand in Meta as `<purpose>-port`, and, where one
//!   listens at an address of its own, `<purpose>-address`.
//! - Two checks: `healthz`, by which Consul itself looks at the service's admin address, and
//!   `devices`, which the agent feeds with its judgement.
//!
//! Nothing here changes with the load, so that a registration is written once; only the result of
//! `devices` moves. Weight and slots follow the devices that work.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rackcast_consul::reconcile::{Desired, Report};
use rackcast_consul::register::{Check, CheckKind, Registration, Service, Status, Weights};
use rackcast_service::drain::Order;
use rackcast_service::status::{HealthState, Role, ServiceStatus};

use crate::board::Judged;
use crate::config::{self, Config};
use crate::probe::{self, Finding, devices, gpu};

/// Consul's limits on Meta: pairs, bytes of a key, bytes of a value.
const META_PAIRS: usize = 64;
const META_KEY: usize = 128;
const META_VALUE: usize = 512;
/// The largest weight that DNS can carry.
const MAX_WEIGHT: u32 = 65535;

/// Key in Meta of the machine's name, by which it is told to drain.
pub const MACHINE: &str = "machine";

/// What is the same for every service of this machine.
#[derive(Debug, Clone)]
pub struct Registrar {
    prefix: String,
    machine: String,
    zone: String,
    advertise: String,
    check: config::Check,
    gpu: probe::Gpu,
}

impl Registrar {
    /// Takes what it needs from the configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            prefix: config.service_prefix.clone(),
            machine: config.node_name(),
            zone: config.zone.clone(),
            advertise: config.advertise.clone(),
            check: config.check.clone(),
            gpu: config.probe.gpu,
        }
    }

    /// What shall stand in Consul for a service, or `None` if it is not to be registered: it is
    /// an agent, or does not listen (yet) where its peers would call it. It is in maintenance
    /// while it drains, and while the machine shall, whether it has heard so yet or not. Its check
    /// `devices` has the verdict, and what is wrong with its devices and with the machine.
    pub fn desired(
        &self,
        judged: &Judged<'_>,
        order: &Order,
        machine: Option<&Finding>,
    ) -> Option<Desired> {
        let status = judged.status;
        let purpose = match status.role {
            Role::Ingest => "rtmp",
            Role::Transcode => "segments",
            Role::Agent => return None,
        };
        let peers = *status.endpoints.get(purpose)?;
        let name = format!("{}-{}", self.prefix, status.role);
        let id = format!("{name}-{}-{}", status.node, status.instance);
        let devices = format!("{id}:devices");
        let mut checks = vec![Check {
            id: devices.clone(),
            name: "devices".to_owned(),
            kind: CheckKind::Ttl {
                ttl: self.check.ttl,
            },
            status: Status::Critical,
            deregister_after: Some(self.check.deregister_after),
        }];
        checks.extend(
            status
                .endpoints
                .get("admin")
                .map(|admin| self.healthz(&id, *admin)),
        );
        let weight = status.weight.clamp(1, MAX_WEIGHT);
        Some(Desired {
            registration: Registration {
                service: Service {
                    id,
                    name,
                    tags: tags(status, &self.zone),
                    address: self.address(peers),
                    port: peers.port(),
                    meta: self.meta(status, purpose),
                    weights: Weights {
                        passing: weight,
                        warning: weight.div_ceil(2),
                    },
                },
                checks,
            },
            reports: vec![self.report(devices, judged, machine)],
            maintenance: match (order.is_drain(), status.draining) {
                (true, _) => Some(order.to_string()),
                (false, true) => Some("draining: finishes its work and takes no more".to_owned()),
                (false, false) => None,
            },
        })
    }

    fn report(&self, check: String, judged: &Judged<'_>, machine: Option<&Finding>) -> Report {
        let verdict = Finding {
            state: judged.verdict.state,
            line: judged.verdict.reason.clone(),
        };
        let devices = &judged.status.devices;
        // A service that says itself that it lacks devices says it better.
        let lost = Some(devices::judge(devices)).filter(|found| found.state > verdict.state);
        let gpus = probe::sum(&[gpu::judge(devices, self.gpu)]);
        let all = lost.into_iter().chain(gpus).chain(machine.cloned());
        let (mut state, mut line) = (verdict.state, verdict.line);
        for found in all {
            state = state.max(found.state);
            line = format!("{line}; {}", found.line);
        }
        Report {
            check,
            status: grade(state),
            output: line,
            taken: judged.asked,
        }
    }

    /// The check by which Consul looks for itself. It begins as passing, since the agent has just
    /// heard the service, and `devices` says what it heard.
    fn healthz(&self, id: &str, admin: SocketAddr) -> Check {
        let reachable = SocketAddr::new(reachable(admin.ip()), admin.port());
        Check {
            id: format!("{id}:healthz"),
            name: "healthz".to_owned(),
            kind: CheckKind::Http {
                url: format!("http://{reachable}/healthz"),
                interval: self.check.http_interval,
                timeout: self.check.http_timeout,
            },
            status: Status::Passing,
            deregister_after: Some(self.check.deregister_after),
        }
    }

    /// The address that peers use; empty means the one that Consul knows the node by.
    fn address(&self, peers: SocketAddr) -> String {
        if peers.ip().is_unspecified() {
            self.advertise.clone()
        } else {
            peers.ip().to_string()
        }
    }

    fn meta(&self, status: &ServiceStatus, purpose: &str) -> BTreeMap<String, String> {
        let mut meta: BTreeMap<_, _> = [
            ("version".to_owned(), status.version.clone()),
            ("protocol".to_owned(), status.protocol.to_string()),
            ("zone".to_owned(), self.zone.clone()),
            (MACHINE.to_owned(), self.machine.clone()),
        ]
        .into();
        let others = status
            .endpoints
            .iter()
            .filter(|(name, _)| name.as_str() != purpose);
        let own = status.endpoints.get(purpose).map(SocketAddr::ip);
        for (name, at) in others {
            meta.insert(format!("{name}-port"), at.port().to_string());
            if !at.ip().is_unspecified() && own != Some(at.ip()) {
                meta.insert(format!("{name}-address"), at.ip().to_string());
            }
        }
        for (key, value) in &status.meta {
            // One pair less than the limit: the owner's mark comes on top.
            if meta.len() + 1 < META_PAIRS {
                meta.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        meta.retain(|key, value| {
            is_meta_key(key) && !value.is_empty() && value.len() <= META_VALUE
        });
        meta
    }
}

/// Consul refuses a whole registration for one key that it does not like.
fn is_meta_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=META_KEY).contains(&key.len()) && key.chars().all(allowed)
}

/// What DNS finds it by: sorted and each once, so that their order never looks like a change.
fn tags(status: &ServiceStatus, zone: &str) -> Vec<String> {
    let mut tags = status.tags.clone();
    if !zone.is_empty() {
        tags.push(format!("zone-{zone}"));
    }
    tags.sort();
    tags.dedup();
    tags
}

/// Where this machine reaches what listens at `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn grade(state: HealthState) -> Status {
    match state {
        HealthState::Passing => Status::Passing,
        HealthState::Warning => Status::Warning,
        HealthState::Critical => Status::Critical,
    }
}

#[cfg(test)]
mod tests;
