//! `/v1/catalog`: names, nodes and instances without their health.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::blocking;
use super::entry::{Indexed, Service};
use super::http::{Ask, Reply};
use super::node::{DATACENTER, node};
use super::shared::Shared;

pub(super) async fn services(shared: &Shared, ask: &Ask) -> Result<Reply, Reply> {
    blocking::json(
        shared,
        ask,
        |store| store.services_changed,
        |store| {
            let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            names.insert("consul", BTreeSet::new());
            for service in store.services.values() {
                let tags = service.value.tags.iter().map(String::as_str);
                names.entry(&service.value.name).or_default().extend(tags);
            }
            json!(names)
        },
    )
    .await
}

pub(super) async fn nodes(shared: &Shared, ask: &Ask) -> Result<Reply, Reply> {
    blocking::json(shared, ask, |_| 1, |_| json!([node(shared.address)])).await
}

pub(super) fn datacenters() -> Reply {
    Reply::json(&json!([DATACENTER]))
}

pub(super) async fn service(shared: &Shared, ask: &Ask, name: &str) -> Result<Reply, Reply> {
    blocking::json(
        shared,
        ask,
        |store| store.index_of(name),
        |store| {
            let tags: Vec<&str> = ask.queries("tag").collect();
            let found = store
                .services
                .values()
                .filter(|s| s.value.name == name && s.value.has(&tags));
            found.map(|service| instance(shared, service)).collect()
        },
    )
    .await
}

impl Service {
    pub(super) fn has(&self, tags: &[&str]) -> bool {
        tags.iter()
            .all(|tag| self.tags.iter().any(|own| own == tag))
    }
}

/// The node's fields beside the service's, those with a prefix.
fn instance(shared: &Shared, service: &Indexed<Service>) -> Value {
    let mut json = node(shared.address);
    let own = &service.value;
    if let Some(json) = json.as_object_mut() {
        let meta = json.remove("Meta").unwrap_or_default();
        json.insert("NodeMeta".to_owned(), meta);
        let fields = json!({
            "ServiceKind": "",
            "ServiceID": own.id,
            "ServiceName": own.name,
            "ServiceTags": own.tags,
            "ServiceAddress": own.address,
            "ServiceTaggedAddresses": own.tagged_addresses(),
            "ServiceWeights": own.weights,
            "ServiceMeta": own.meta,
            "ServicePort": own.port,
            "ServiceEnableTagOverride": own.enable_tag_override,
            "CreateIndex": service.created,
            "ModifyIndex": service.modified,
        });
        if let Value::Object(fields) = fields {
            json.extend(fields);
        }
    }
    json
}
