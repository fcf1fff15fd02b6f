//! What the catalog holds: services, checks, sessions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::node::NODE;
use super::wire::Kind;
use crate::register::{Status, Weights};

/// How the ID of a check begins that says a service is under maintenance.
pub(super) const MAINTENANCE: &str = "_service_maintenance:";

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) meta: BTreeMap<String, String>,
    pub(super) weights: Weights,
    pub(super) enable_tag_override: bool,
    pub(super) tagged_addresses: BTreeMap<String, Value>,
}

/// A check with what it found last.
pub(super) struct Check {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) notes: String,
    pub(super) service_id: String,
    pub(super) kind: Kind,
    pub(super) status: Status,
    pub(super) output: String,
    pub(super) deregister_after: Option<Duration>,
    pub(super) success_before_passing: u32,
    pub(super) failures_before_critical: u32,
    pub(super) output_max: usize,
    pub(super) successes: u32,
    pub(super) failures: u32,
    /// Since when it is critical, if it is.
    pub(super) critical_since: Option<Instant>,
    /// Runs it; ends with it.
    pub(super) task: Option<AbortOnDropHandle<()>>,
}

/// An entry with the indexes of its creation and last change.
pub(super) struct Indexed<T> {
    pub(super) value: T,
    pub(super) created: u64,
    pub(super) modified: u64,
}

/// A session.
pub(super) struct Session {
    pub(super) name: String,
    pub(super) ttl: Option<Duration>,
    /// Its keys are deleted with it, and not merely let go.
    pub(super) deletes: bool,
    pub(super) renewed: Instant,
    /// Ends it when it is not renewed; ends with it.
    pub(super) _expiry: Option<AbortOnDropHandle<()>>,
}

impl Service {
    /// With what Consul adds: the addresses by family.
    pub(super) fn tagged_addresses(&self) -> Option<Value> {
        let mut all = self.tagged_addresses.clone();
        if let Ok(ip) = self.address.parse::<std::net::IpAddr>() {
            let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
            for side in ["lan", "wan"] {
                all.entry(format!("{side}_{family}"))
                    .or_insert_with(|| json!({ "Address": self.address, "Port": self.port }));
            }
        }
        (!all.is_empty()).then(|| json!(all))
    }

    /// As the agent shows it.
    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "ID": self.id,
            "Service": self.name,
            "Tags": self.tags,
            "Meta": self.meta,
            "Port": self.port,
            "Address": self.address,
            "Weights": self.weights,
            "EnableTagOverride": self.enable_tag_override,
        });
        if let (Some(tagged), Some(json)) = (self.tagged_addresses(), json.as_object_mut()) {
            json.insert("TaggedAddresses".to_owned(), tagged);
        }
        json
    }
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Maintenance => "maintenance",
        }
    }
}

impl Indexed<Check> {
    /// As Consul shows a check of this service.
    pub(super) fn json(&self, service: Option<&Service>) -> Value {
        let check = &self.value;
        json!({
            "Node": NODE,
            "CheckID": check.id,
            "Name": check.name,
            "Status": check.status,
            "Notes": check.notes,
            "Output": check.output,
            "ServiceID": check.service_id,
            "ServiceName": service.map_or("", |service| &service.name),
            "ServiceTags": service.map_or(&[][..], |service| &service.tags),
            "Type": check.kind.name(),
            "Definition": {},
            "CreateIndex": self.created,
            "ModifyIndex": self.modified,
        })
    }
}
