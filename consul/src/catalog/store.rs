//! The state of the catalog and its indexes.
//!
//! One index grows with every visible change; each service remembers its own last one, so
//! that a change of one service does not wake who waits for another.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::entry::{Check, Indexed, Service, Session};
use super::keys::Kv;
use crate::register::Status;

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
    pub(super) sessions: BTreeMap<String, Session>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            index: 1,
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            service_index: BTreeMap::new(),
            extinction: 1,
            services_changed: 1,
            checks_changed: 1,
            kv: Kv::default(),
            sessions: BTreeMap::new(),
        }
    }

    /// What a session held when it ended is deleted, or held by nobody.
    pub(super) fn let_go(&mut self, session: &str, delete: bool) {
        for key in self.kv.held_by(session) {
            let index = self.advance();
            self.kv.let_go(&key, index, delete);
        }
    }

    /// The index of the last visible change.
    pub(super) fn index(&self) -> u64 {
        self.index
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

    /// As Consul shows it.
    pub(super) fn check_json(&self, check: &Indexed<Check>) -> Value {
        let service = self.services.get(&check.value.service_id);
        check.json(service.map(|service| &service.value))
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
