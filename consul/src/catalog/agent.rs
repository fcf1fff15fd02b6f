//! `/v1/agent/service*`: registrations on this node.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};

use super::blocking;
use super::check;
use super::entry::{Check, MAINTENANCE, Service};
use super::http::{Ask, Reply};
use super::shared::Shared;
use super::wire::{Kind, ServiceDefinition};
use crate::register::Status;

pub(super) fn services(shared: &Shared) -> Reply {
    let store = shared.read();
    let all: Map<String, Value> = store
        .services
        .iter()
        .map(|(id, s)| (id.clone(), s.value.json()))
        .collect();
    Reply::json(&Value::Object(all))
}

pub(super) async fn register(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Reply> {
    let replace = ask.flag("replace-existing-checks")?;
    let mut definition: ServiceDefinition = ask.json(shared.limits.registration_bytes).await?;
    let bad = |text: &str| Reply::text(StatusCode::BAD_REQUEST, text);
    if definition.name.is_empty() {
        return Err(bad("Missing service name"));
    }
    if definition.id.is_empty() {
        definition.id.clone_from(&definition.name);
    }
    if let Some(key) = definition.meta.keys().find(|key| !is_meta_key(key)) {
        let text = format!(
            "Invalid Service Meta: Couldn't load metadata pair ('{key}'): Key contains invalid characters"
        );
        return Err(bad(&text));
    }
    let id = definition.id.clone();
    let mut checks = Vec::new();
    let definitions = definition
        .check
        .take()
        .into_iter()
        .chain(std::mem::take(&mut definition.checks));
    for (number, mut own) in (1..).zip(definitions) {
        own.service_id.clone_from(&id);
        if own.check_id.is_empty() && own.id.is_empty() {
            own.check_id = match number {
                1 => format!("service:{id}"),
                n => format!("service:{id}:{n}"),
            };
        }
        if own.name.is_empty() {
            own.name = format!("Service '{}' check", definition.name);
        }
        checks.push(
            check::from_definition(own).map_err(|why| bad(&format!("Invalid check: {why}")))?,
        );
    }
    let limits = &shared.limits;
    shared.write(|store| {
        let new_service = usize::from(!store.services.contains_key(&id));
        let new_checks = checks
            .iter()
            .filter(|check| !store.checks.contains_key(&check.id))
            .count();
        if store.services.len() + new_service > limits.services
            || store.checks.len() + new_checks > limits.checks
        {
            let text = "the development catalog is full";
            return Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        store.put_service(service_of(definition));
        let stale: Vec<String> = store
            .checks_of(&id)
            .filter(|held| replace && !checks.iter().any(|check| check.id == held.value.id))
            .map(|held| held.value.id.clone())
            .collect();
        for stale in stale {
            store.remove_check(&stale);
        }
        for mut check in checks {
            check.task = super::runner::start(shared, &check.id, &check.kind);
            store.put_check(check);
        }
        Ok(Reply::empty(StatusCode::OK))
    })
}

fn service_of(definition: ServiceDefinition) -> Service {
    Service {
        id: definition.id,
        name: definition.name,
        tags: definition.tags,
        address: definition.address,
        port: definition.port,
        meta: definition.meta,
        weights: definition.weights,
        enable_tag_override: definition.enable_tag_override,
        tagged_addresses: definition.tagged_addresses,
    }
}

fn is_meta_key(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

pub(super) fn deregister(shared: &Shared, id: &str) -> Reply {
    shared.write(|store| store.remove_service(id));
    Reply::empty(StatusCode::OK)
}

pub(super) fn maintenance(shared: &Arc<Shared>, ask: &Ask, id: &str) -> Result<Reply, Reply> {
    let bad = |text: String| Reply::text(StatusCode::BAD_REQUEST, text);
    let enable = match ask.query("enable") {
        None => return Err(bad("Missing value for enable".to_owned())),
        Some("true" | "1" | "t") => true,
        Some("false" | "0" | "f") => false,
        Some(other) => return Err(bad(format!("Invalid value for enable: {other:?}"))),
    };
    let check_id = format!("{MAINTENANCE}{id}");
    shared.write(|store| {
        if !store.services.contains_key(id) {
            let text = format!("No service registered with ID {id:?}");
            return Err(Reply::text(StatusCode::NOT_FOUND, text));
        }
        match enable {
            // A reason given first stays.
            true if store.checks.contains_key(&check_id) => {}
            true => store.put_check(Check {
                notes: match ask.query("reason") {
                    None | Some("") => "Maintenance mode is enabled for this service, but no \
                        reason was provided. This is a default message."
                        .to_owned(),
                    Some(reason) => reason.to_owned(),
                },
                name: "Service Maintenance Mode".to_owned(),
                service_id: id.to_owned(),
                ..Check::new(check_id, Kind::Maintenance, Status::Critical)
            }),
            false => drop(store.remove_check(&check_id)),
        }
        Ok(Reply::empty(StatusCode::OK))
    })
}

/// One service; with the hash of an earlier answer, as soon as it differs.
pub(super) async fn service(shared: &Shared, ask: &Ask, id: &str) -> Result<Reply, Reply> {
    let deadline = blocking::deadline(blocking::wait(ask)?);
    let mut changes = shared.changes();
    let mut over = false;
    loop {
        let found = shared
            .read()
            .services
            .get(id)
            .map(|service| service.value.json());
        let Some(mut json) = found else {
            let text = format!("unknown service ID: {id}");
            return Err(Reply::text(StatusCode::NOT_FOUND, text));
        };
        let hash = content_hash(&json);
        if over || ask.query("hash") != Some(hash.as_str()) {
            if let Some(json) = json.as_object_mut() {
                json.insert("ContentHash".to_owned(), hash.clone().into());
            }
            return Ok(Reply::json(&json).header("X-Consul-ContentHash", hash));
        }
        tokio::select! {
            changed = changes.changed() => over = changed.is_err(),
            () = tokio::time::sleep_until(deadline) => over = true,
        }
    }
}

fn content_hash(json: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    json.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
