//! Blocking queries: a question with an index waits until the answer's index is past it.

use std::time::Duration;

use http::StatusCode;
use rand::RngExt;
use serde_json::Value;
use tokio::time::Instant;

use super::go::parse_duration;
use super::http::{Ask, Reply};
use super::node::DATACENTER;
use super::shared::Shared;
use super::store::Store;

const DEFAULT_WAIT: Duration = Duration::from_secs(300);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The time to wait that a question names; a number without a unit is none.
pub(super) fn wait(ask: &Ask) -> Result<Duration, Reply> {
    match ask.query("wait") {
        None | Some("") => Ok(DEFAULT_WAIT),
        Some(text) => parse_duration(text)
            .map(|wait| {
                if wait.is_zero() {
                    DEFAULT_WAIT
                } else {
                    wait.min(LONGEST_WAIT)
                }
            })
            .ok_or_else(|| Reply::text(StatusCode::BAD_REQUEST, "Invalid wait time")),
    }
}

/// When a wait ends: up to a sixteenth later, so that the waits of many clients spread.
pub(super) fn deadline(wait: Duration) -> Instant {
    Instant::now() + wait + (wait / 16).mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// Answers with what `read` finds, as soon as `index` is past the index asked for, or with
/// the index as it is (perhaps lower) when the wait is over.
pub(super) async fn answer(
    shared: &Shared,
    ask: &Ask,
    index: impl Fn(&Store) -> u64,
    read: impl Fn(&Store) -> Reply,
) -> Result<Reply, Reply> {
    let asked: u64 = match ask.query("index") {
        None | Some("") => 0,
        Some(text) => text
            .parse()
            .map_err(|_| Reply::text(StatusCode::BAD_REQUEST, "Invalid index"))?,
    };
    let deadline = deadline(wait(ask)?);
    if ask
        .query("dc")
        .is_some_and(|dc| !dc.is_empty() && dc != DATACENTER)
    {
        let reply = Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "No path to datacenter");
        return Err(reply
            .header("X-Consul-Index", "1")
            .header("X-Consul-Knownleader", "false"));
    }
    if ask.query("filter").is_some() {
        let text = "filter is not supported by the development catalog";
        return Err(Reply::text(StatusCode::BAD_REQUEST, text));
    }
    let mut changes = shared.changes();
    let mut over = asked == 0;
    loop {
        {
            let store = shared.read();
            let now = index(&store).max(1);
            if over || now > asked {
                return Ok(read(&store)
                    .header("X-Consul-Index", now.to_string())
                    .header("X-Consul-Knownleader", "true")
                    .header("X-Consul-Lastcontact", "0")
                    .header("X-Consul-Effective-Consistency", "leader"));
            }
        }
        tokio::select! {
            changed = changes.changed() => over = changed.is_err(),
            () = tokio::time::sleep_until(deadline) => over = true,
        }
    }
}

/// [`answer`] with JSON.
pub(super) async fn json(
    shared: &Shared,
    ask: &Ask,
    index: impl Fn(&Store) -> u64,
    read: impl Fn(&Store) -> Value,
) -> Result<Reply, Reply> {
    answer(shared, ask, index, |store| Reply::json(&read(store))).await
}
