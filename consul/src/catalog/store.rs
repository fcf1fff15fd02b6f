//! The state of the catalog and its indexes.
//!
//! One index grows with every visible change; each service remembers its own last one, so
//! that a change of one service does not wake who waits for another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::Limits;
use super::kv::Kv;
use super::session::Sessions;
use super::wire::Kind;
use crate::register::{Status, Weights};

pub(super) const DATACENTER: &str = "dc1";
pub(super) const NODE: &str = "rackcast-dev";
const NODE_ID: &str = "00000000-0000-4000-8000-000000000000";
pub(super) const MAINTENANCE: &str = "_service_maintenance:";

/// The store as connections and check tasks share it.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) limits: Limits,
    store: Mutex<Store>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, limits: Limits) -> Arc<Self> {
        let store = Store::new();
        let changes = watch::Sender::new(store.index);
        Arc::new(Self {
            address,
            limits,
            store: Mutex::new(store),
            changes,
        })
    }

    /// Wakes with every visible change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store and wakes whoever waits if that was visible.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.read();
        let before = store.index;
        let result = change(&mut store);
        let after = store.index;
        drop(store);
        if after != before {
            self.changes.send_replace(after);
        }
        result
    }
}

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

pub(super) struct Store {
    index: u64,
    pub(super) services: BTreeMap<String, Indexed<Service>>,
    pub(super) checks: BTreeMap<String, Indexed<Check>>,
    /// Last change of each service that has an instance, by name.
    service_index: BTreeMap<String, u64>,
    /// When a service last lost its last instance: the index of all that have none.
    extinction: u64,
    pub(super) services_changed: u64,
    pub(super) checks_changed: u64,
    pub(super) kv: Kv,
    pub(super) sessions: Sessions,
}

impl Store {
    fn new() -> Self {
        Self {
            index: 1,
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            service_index: BTreeMap::new(),
            extinction: 1,
            services_changed: 1,
            checks_changed: 1,
            kv: Kv::default(),
            sessions: Sessions::new(),
        }
    }

    /// What a session held when it ended is deleted, or held by nobody.
    pub(super) fn let_go(&mut self, session: &str, delete: bool) {
        for key in self.kv.held_by(session) {
            let index = self.advance();
            self.kv.let_go(&key, index, delete);
        }
    }

    /// The index of a new visible change.
    pub(super) fn advance(&mut self) -> u64 {
        self.index = self.index.saturating_add(1);
        self.index
    }

    /// What to wait on for a service.
    pub(super) fn index_of(&self, service: &str) -> u64 {
        self.service_index
            .get(service)
            .copied()
            .unwrap_or(self.extinction)
    }

    pub(super) fn put_service(&mut self, service: Service) {
        let before = self.services.get(&service.id);
        if before.is_some_and(|before| before.value == service) {
            return;
        }
        let renamed = before
            .map(|b| b.value.name.clone())
            .filter(|name| *name != service.name);
        let created = before.map(|before| before.created);
        let index = self.advance();
        let (id, name) = (service.id.clone(), service.name.clone());
        let created = created.unwrap_or(index);
        self.services.insert(
            id,
            Indexed {
                value: service,
                created,
                modified: index,
            },
        );
        self.services_changed = index;
        self.touch(&name, index);
        if let Some(renamed) = renamed {
            self.touch(&renamed, index);
        }
    }

    pub(super) fn remove_service(&mut self, id: &str) -> bool {
        let Some(service) = self.services.remove(id) else {
            return false;
        };
        self.checks.retain(|_, check| check.value.service_id != id);
        let index = self.advance();
        self.services_changed = index;
        self.checks_changed = index;
        self.touch(&service.value.name, index);
        true
    }

    /// Notes a change of a service, which may have been the loss of its last instance.
    fn touch(&mut self, name: &str, index: u64) {
        match self
            .services
            .values()
            .any(|service| service.value.name == name)
        {
            true => drop(self.service_index.insert(name.to_owned(), index)),
            false => {
                self.service_index.remove(name);
                self.extinction = index;
            }
        }
    }

    /// Adds or replaces a check. The one that it replaces lends it its status.
    pub(super) fn put_check(&mut self, mut check: Check) {
        let mut created = None;
        let mut visible = true;
        if let Some(before) = self.checks.remove(&check.id) {
            check.status = before.value.status;
            check.output = before.value.output;
            check.critical_since = before.value.critical_since;
            visible = before.value.name != check.name
                || before.value.notes != check.notes
                || before.value.service_id != check.service_id
                || before.value.kind.name() != check.kind.name();
            created = Some((before.created, before.modified));
        }
        if check.status == Status::Critical {
            check.critical_since.get_or_insert_with(Instant::now);
        }
        let (created, modified) = match created {
            Some(indexes) if !visible => indexes,
            _ => {
                let index = self.changed_check(&check.service_id.clone());
                (created.map_or(index, |(created, _)| created), index)
            }
        };
        self.checks.insert(
            check.id.clone(),
            Indexed {
                value: check,
                created,
                modified,
            },
        );
    }

    pub(super) fn remove_check(&mut self, id: &str) -> bool {
        let Some(check) = self.checks.remove(id) else {
            return false;
        };
        self.changed_check(&check.value.service_id);
        true
    }

    /// Takes a result in. Words alone are no visible change.
    pub(super) fn set_status(&mut self, id: &str, status: Status, output: &str) {
        let Some(check) = self.checks.get_mut(id) else {
            return;
        };
        check.value.output = truncate(output, check.value.output_max);
        if check.value.status == status {
            return;
        }
        check.value.status = status;
        check.value.critical_since = (status == Status::Critical).then(Instant::now);
        let service = check.value.service_id.clone();
        let index = self.changed_check(&service);
        if let Some(check) = self.checks.get_mut(id) {
            check.modified = index;
        }
    }

    fn changed_check(&mut self, service_id: &str) -> u64 {
        let index = self.advance();
        self.checks_changed = index;
        if let Some(service) = self.services.get(service_id) {
            let name = service.value.name.clone();
            self.touch(&name, index);
        }
        index
    }

    pub(super) fn checks_of(&self, service_id: &str) -> impl Iterator<Item = &Indexed<Check>> {
        self.checks
            .values()
            .filter(move |check| check.value.service_id == service_id)
    }
}

/// The first `most` bytes, at a character's boundary.
fn truncate(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default())
        .unwrap_or_default()
        .to_owned()
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
    pub(super) fn json(&self, store: &Store) -> Value {
        let check = &self.value;
        let service = store
            .services
            .get(&check.service_id)
            .map(|service| &service.value);
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

/// The only node.
pub(super) fn node(address: SocketAddr) -> Value {
    let ip = address.ip();
    json!({
        "ID": NODE_ID,
        "Node": NODE,
        "Address": ip,
        "Datacenter": DATACENTER,
        "TaggedAddresses": { "lan": ip, "lan_ipv4": ip, "wan": ip, "wan_ipv4": ip },
        "Meta": { "rackcast": "development-catalog" },
        "CreateIndex": 1,
        "ModifyIndex": 1,
    })
}

/// The node's own check: the node is alive as long as it answers.
pub(super) fn serf_health() -> Value {
    json!({
        "Node": NODE,
        "CheckID": "serfHealth",
        "Name": "Serf Health Status",
        "Status": Status::Passing,
        "Notes": "",
        "Output": "Agent alive and reachable",
        "ServiceID": "",
        "ServiceName": "",
        "ServiceTags": [],
        "Type": "",
        "Definition": {},
        "CreateIndex": 1,
        "ModifyIndex": 1,
    })
}
