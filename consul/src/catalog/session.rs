//! `/v1/session`: what is written in the name of a session goes with it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::entry::Session;
use super::go::parse_duration;
use super::http::{Ask, Reply};
use super::node::NODE;
use super::shared::Shared;
use super::store::Store;

/// Bounds of a TTL, as in Consul.
const TTL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(86_400));

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wanted {
    name: String,
    #[serde(rename = "TTL")]
    ttl: String,
    behavior: String,
}

/// Begins a session.
pub(super) async fn create(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Reply> {
    let body = ask.body(shared.limits.registration_bytes).await?;
    let bad = |text: String| Reply::text(StatusCode::BAD_REQUEST, text);
    let wanted: Wanted = match body.is_empty() {
        true => Wanted::default(),
        false => serde_json::from_slice(&body)
            .map_err(|error| bad(format!("Request decode failed: {error}")))?,
    };
    let ttl = match wanted.ttl.as_str() {
        "" => None,
        text => Some(
            parse_duration(text)
                .filter(|ttl| (TTL.0..=TTL.1).contains(ttl))
                .ok_or_else(|| bad(format!("Request TTL '{text}' must be 10s to 24h")))?,
        ),
    };
    let deletes = match wanted.behavior.as_str() {
        "delete" => true,
        "" | "release" => false,
        other => return Err(bad(format!("Invalid Behavior setting '{other}'"))),
    };
    let id = new_id();
    let expiry = ttl.map(|ttl| {
        let task = tokio::spawn(expire(Arc::downgrade(shared), id.clone(), ttl));
        AbortOnDropHandle::new(task)
    });
    let session = Session {
        name: wanted.name,
        ttl,
        deletes,
        renewed: Instant::now(),
        _expiry: expiry,
    };
    let limit = shared.limits.sessions;
    shared.write(|store| {
        if store.sessions.len() >= limit {
            let text = format!("the development catalog holds at most {limit} sessions");
            return Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        store.sessions.insert(id.clone(), session);
        Ok(Reply::json(&json!({ "ID": id })))
    })
}

/// Keeps a session alive.
pub(super) fn renew(shared: &Shared, id: &str) -> Reply {
    shared.write(|store| match store.sessions.get_mut(id) {
        Some(session) => {
            session.renewed = Instant::now();
            let ttl = session.ttl.map(|ttl| format!("{}s", ttl.as_secs()));
            let behavior = if session.deletes { "delete" } else { "release" };
            Reply::json(&json!([{
                "ID": id, "Name": session.name, "Node": NODE, "TTL": ttl, "Behavior": behavior,
            }]))
        }
        None => {
            let text = format!("Session id '{id}' not found");
            Reply::text(StatusCode::NOT_FOUND, text)
        }
    })
}

/// Ends a session.
pub(super) fn destroy(shared: &Shared, id: &str) -> Reply {
    shared.write(|store| end(store, id));
    Reply::json(&json!(true))
}

fn end(store: &mut Store, id: &str) {
    if let Some(session) = store.sessions.remove(id) {
        store.let_go(id, session.deletes);
    }
}

/// Ends a session once it was not renewed for its TTL.
async fn expire(shared: Weak<Shared>, id: String, ttl: Duration) {
    let mut pause = ttl;
    loop {
        tokio::time::sleep(pause).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let left = |store: &Store| {
            let renewed = store.sessions.get(&id)?.renewed;
            Some(ttl.saturating_sub(renewed.elapsed()))
        };
        let left = left(&shared.read());
        match left {
            None => return,
            Some(Duration::ZERO) => {
                shared.write(|store| end(store, &id));
                return;
            }
            Some(left) => pause = left,
        }
    }
}

/// In the form of a UUID, as clients may expect.
fn new_id() -> String {
    let number: u128 = rand::random();
    let hex = format!("{number:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(part);
    parts.join("-")
}
