//! `/v1/health`, and the agent's own summary of it.

use http::StatusCode;
use serde_json::{Value, json};

use super::blocking;
use super::entry::{Check, Indexed, Service};
use super::http::{Ask, Reply};
use super::node::{NODE, node, serf_health};
use super::shared::Shared;
use super::store::Store;
use super::wire::Kind;
use crate::register::Status;

pub(super) async fn service(shared: &Shared, ask: &Ask, name: &str) -> Result<Reply, Reply> {
    if name.is_empty() {
        return Err(Reply::text(StatusCode::BAD_REQUEST, "Missing service name"));
    }
    let passing = ask.flag("passing")?;
    blocking::json(
        shared,
        ask,
        |store| store.index_of(name),
        |store| {
            let tags: Vec<&str> = ask.queries("tag").collect();
            let found = store.services.values().filter(|s| {
                s.value.name == name
                    && s.value.has(&tags)
                    && (!passing || worst(store, &s.value.id) == Status::Passing)
            });
            found.map(|service| entry(shared, store, service)).collect()
        },
    )
    .await
}

fn entry(shared: &Shared, store: &Store, service: &Indexed<Service>) -> Value {
    let mut own = service.value.json();
    if let Some(own) = own.as_object_mut() {
        own.insert("CreateIndex".to_owned(), json!(service.created));
        own.insert("ModifyIndex".to_owned(), json!(service.modified));
    }
    let checks = store
        .checks_of(&service.value.id)
        .map(|check| store.check_json(check));
    let checks: Value = std::iter::once(serf_health()).chain(checks).collect();
    json!({ "Node": node(shared.address), "Service": own, "Checks": checks })
}

fn worst(store: &Store, service_id: &str) -> Status {
    store
        .checks_of(service_id)
        .map(|check| check.value.status)
        .max()
        .unwrap_or(Status::Passing)
}

pub(super) async fn checks(shared: &Shared, ask: &Ask, name: &str) -> Result<Reply, Reply> {
    blocking::json(
        shared,
        ask,
        |store| store.index_of(name),
        |store| {
            let of_service = |check: &&Indexed<Check>| {
                store
                    .services
                    .get(&check.value.service_id)
                    .is_some_and(|s| s.value.name == name)
            };
            store
                .checks
                .values()
                .filter(of_service)
                .map(|check| store.check_json(check))
                .collect()
        },
    )
    .await
}

pub(super) async fn state(shared: &Shared, ask: &Ask, state: &str) -> Result<Reply, Reply> {
    let wanted = |name: &str| state == "any" || state == name;
    blocking::json(
        shared,
        ask,
        |store| store.checks_changed,
        |store| {
            let found = store
                .checks
                .values()
                .filter(|check| wanted(check.value.status.name()));
            let serf = wanted(Status::Passing.name()).then(serf_health);
            found
                .map(|check| store.check_json(check))
                .chain(serf)
                .collect()
        },
    )
    .await
}

pub(super) async fn of_node(shared: &Shared, ask: &Ask, name: &str) -> Result<Reply, Reply> {
    blocking::json(
        shared,
        ask,
        |store| store.checks_changed,
        |store| match name == NODE {
            true => {
                let checks = store.checks.values().map(|check| store.check_json(check));
                checks.chain([serf_health()]).collect()
            }
            false => json!([]),
        },
    )
    .await
}

/// `/v1/agent/health/service/id/<id>`.
pub(super) fn of_instance(shared: &Shared, ask: &Ask, id: &str) -> Result<Reply, Reply> {
    let store = shared.read();
    let Some(service) = store.services.get(id) else {
        let nothing = json!({ "AggregatedStatus": "critical", "Service": null, "Checks": null });
        return Ok(aggregate(ask, "critical", &nothing).status(StatusCode::NOT_FOUND));
    };
    let state = aggregated(&store, id);
    Ok(aggregate(ask, state, &summary(&store, &service.value)))
}

/// `/v1/agent/health/service/name/<name>`.
pub(super) fn of_service(shared: &Shared, ask: &Ask, name: &str) -> Result<Reply, Reply> {
    let store = shared.read();
    let found: Vec<&Service> = store
        .services
        .values()
        .map(|s| &s.value)
        .filter(|s| s.name == name)
        .collect();
    let worst = found
        .iter()
        .map(|service| aggregated(&store, &service.id))
        .max_by_key(|s| rank(s));
    let all: Value = found
        .iter()
        .map(|service| summary(&store, service))
        .collect();
    Ok(match worst {
        Some(state) => aggregate(ask, state, &all),
        None => aggregate(ask, "critical", &all).status(StatusCode::NOT_FOUND),
    })
}

fn summary(store: &Store, service: &Service) -> Value {
    let checks: Vec<Value> = store
        .checks_of(&service.id)
        .map(|check| store.check_json(check))
        .collect();
    json!({
        "AggregatedStatus": aggregated(store, &service.id),
        "Service": service.json(),
        "Checks": checks,
    })
}

/// Maintenance outweighs everything.
fn aggregated(store: &Store, id: &str) -> &'static str {
    match store
        .checks_of(id)
        .any(|check| check.value.kind == Kind::Maintenance)
    {
        true => "maintenance",
        false => worst(store, id).name(),
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "passing" => 0,
        "warning" => 1,
        "critical" => 2,
        _ => 3,
    }
}

fn aggregate(ask: &Ask, state: &'static str, json: &Value) -> Reply {
    let status = match state {
        "passing" => StatusCode::OK,
        "warning" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reply = match ask.query("format") {
        Some("text") => Reply::text(status, state),
        _ => Reply::json(json).status(status),
    };
    reply.header("X-Consul-Reason", state)
}
