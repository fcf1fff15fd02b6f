//! `/v1/agent/check*`: checks on this node and the reports of TTL checks.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};

use super::entry::Check;
use super::http::{Ask, Reply};
use super::runner;
use super::shared::Shared;
use super::wire::{CheckDefinition, CheckUpdate, Kind, parse_status};
use crate::register::Status;

/// Longest output kept, unless the check asks for less.
const OUTPUT_MAX: usize = 4096;

impl Check {
    pub(super) fn new(id: String, kind: Kind, status: Status) -> Self {
        Self {
            id,
            kind,
            status,
            name: String::new(),
            notes: String::new(),
            service_id: String::new(),
            output: String::new(),
            deregister_after: None,
            success_before_passing: 0,
            failures_before_critical: 0,
            output_max: OUTPUT_MAX,
            successes: 0,
            failures: 0,
            critical_since: None,
            task: None,
        }
    }
}

/// A check that does not run yet, or why the definition makes no sense.
pub(super) fn from_definition(definition: CheckDefinition) -> Result<Check, String> {
    let (kind, status) = (definition.kind()?, definition.status()?);
    let id = match definition.check_id.is_empty() {
        true => definition.id,
        false => definition.check_id,
    };
    let after = definition.deregister_critical_service_after;
    Ok(Check {
        name: definition.name,
        notes: definition.notes,
        service_id: definition.service_id,
        deregister_after: (!after.is_zero()).then_some(after),
        success_before_passing: definition.success_before_passing,
        failures_before_critical: definition.failures_before_critical,
        output_max: match definition.output_max_size {
            0 => OUTPUT_MAX,
            size => size.min(OUTPUT_MAX),
        },
        ..Check::new(id, kind, status)
    })
}

pub(super) fn checks(shared: &Shared) -> Reply {
    let store = shared.read();
    let all: Map<String, Value> = store
        .checks
        .iter()
        .map(|(id, check)| (id.clone(), store.check_json(check)))
        .collect();
    Reply::json(&Value::Object(all))
}

pub(super) async fn register(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Reply> {
    let mut definition: CheckDefinition = ask.json(shared.limits.registration_bytes).await?;
    let bad = |text: String| Reply::text(StatusCode::BAD_REQUEST, text);
    if definition.name.is_empty() {
        return Err(bad("Missing check name".to_owned()));
    }
    if definition.check_id.is_empty() && definition.id.is_empty() {
        definition.check_id.clone_from(&definition.name);
    }
    let mut check =
        from_definition(definition).map_err(|why| bad(format!("Invalid check: {why}")))?;
    shared.write(|store| {
        let fail = |text| Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
        if !check.service_id.is_empty() && !store.services.contains_key(&check.service_id) {
            return fail(format!("ServiceID {:?} does not exist", check.service_id));
        }
        if store.checks.len() >= shared.limits.checks {
            return fail("the development catalog is full".to_owned());
        }
        check.task = runner::start(shared, &check.id, &check.kind);
        store.put_check(check);
        Ok(Reply::empty(StatusCode::OK))
    })
}

pub(super) fn deregister(shared: &Shared, id: &str) -> Reply {
    shared.write(|store| store.remove_check(id));
    Reply::empty(StatusCode::OK)
}

/// `pass`, `warn` or `fail`, with a note.
pub(super) fn report(
    shared: &Arc<Shared>,
    ask: &Ask,
    verb: &str,
    id: &str,
) -> Result<Reply, Reply> {
    let status = match verb {
        "pass" => Status::Passing,
        "warn" => Status::Warning,
        _ => Status::Critical,
    };
    set_ttl(shared, id, status, ask.query("note").unwrap_or_default())
}

pub(super) async fn update(shared: &Arc<Shared>, ask: &mut Ask, id: &str) -> Result<Reply, Reply> {
    let update: CheckUpdate = ask.json(shared.limits.registration_bytes).await?;
    let Some(status) = parse_status(&update.status) else {
        let text = format!("Invalid check status: '{}'", update.status);
        return Err(Reply::text(StatusCode::BAD_REQUEST, text));
    };
    set_ttl(shared, id, status, &update.output)
}

fn set_ttl(shared: &Arc<Shared>, id: &str, status: Status, output: &str) -> Result<Reply, Reply> {
    shared.write(|store| {
        let ttl = store
            .checks
            .get_mut(id)
            .filter(|check| matches!(check.value.kind, Kind::Ttl(_)));
        let Some(check) = ttl else {
            let text = format!("CheckID {id:?} does not have associated TTL");
            return Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        check.value.task = runner::start(shared, id, &check.value.kind);
        store.set_status(id, status, output);
        Ok(Reply::empty(StatusCode::OK))
    })
}
