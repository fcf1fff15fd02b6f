//! Blocking queries and hash watches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Consul, http::Reply};

async fn registered(consul: &Consul, name: &str) -> u64 {
    consul
        .register(&json!({ "ID": name, "Name": name, "Check": { "CheckID": format!("{name}:c"), "TTL": "60s" } }))
        .await;
    consul
        .get(&format!("/v1/health/service/{name}"))
        .await
        .index()
}

/// Of a wait of 20 s: it did not last to its end, though the machine be busy.
const SOON: Duration = Duration::from_secs(10);

/// Asks and tells how long the answer took.
async fn ask(consul: &Arc<Consul>, path: String) -> tokio::task::JoinHandle<(Reply, Duration)> {
    let consul = Arc::clone(consul);
    let task = tokio::spawn(async move {
        let start = Instant::now();
        (consul.get(&path).await, start.elapsed())
    });
    // Long enough that it waits before what comes next.
    tokio::time::sleep(Duration::from_millis(200)).await;
    task
}

pub async fn index_zero_answers_at_once(consul: Arc<Consul>) {
    registered(&consul, "zero").await;
    for query in ["?index=0&wait=20s", "?wait=20s", ""] {
        let start = Instant::now();
        let reply = consul.get(&format!("/v1/health/service/zero{query}")).await;
        assert!(start.elapsed() < SOON);
        assert!(reply.index() >= 1);
        assert_eq!(reply.header("x-consul-knownleader"), Some("true"));
        assert!(reply.header("x-consul-lastcontact").is_some());
    }
}

pub async fn a_change_wakes_and_another_service_does_not(consul: Arc<Consul>) {
    let index = registered(&consul, "wake").await;
    registered(&consul, "wake-other").await;
    let waiting = ask(
        &consul,
        format!("/v1/health/service/wake?index={index}&wait=20s"),
    )
    .await;
    consul.put("/v1/agent/check/pass/wake-other:c", "").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    let change = Instant::now();
    consul.put("/v1/agent/check/pass/wake:c", "").await;
    let (reply, _) = waiting.await.unwrap();
    assert!(change.elapsed() < SOON);
    assert!(reply.index() > index);
    let checks = reply.json()[0]["Checks"].clone();
    let check = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["CheckID"] == "wake:c")
        .unwrap();
    assert_eq!(check["Status"], "passing");
}

pub async fn a_wait_ends_with_the_current_index(consul: Arc<Consul>) {
    let index = registered(&consul, "over").await;
    let start = Instant::now();
    let reply = consul
        .get(&format!("/v1/health/service/over?index={index}&wait=800ms"))
        .await;
    assert_eq!((reply.status, reply.index()), (200, index));
    assert!(start.elapsed() >= Duration::from_millis(800));
    assert!(start.elapsed() < SOON);
    // Whoever waits on an index of servers long gone is told the true one, which is lower.
    let far = format!(
        "/v1/health/service/over?index={}&wait=300ms",
        index + 1_000_000
    );
    assert_eq!(consul.get(&far).await.index(), index);
}

pub async fn words_alone_wake_nobody(consul: Arc<Consul>) {
    registered(&consul, "words").await;
    let report = |words: &str| json!({ "Status": "passing", "Output": words }).to_string();
    consul
        .put("/v1/agent/check/update/words:c", report("one"))
        .await;
    crate::common::eventually("passing", || async {
        consul.get("/v1/health/service/words?passing").await.json() != json!([])
    })
    .await;
    let index = consul.get("/v1/health/service/words").await.index();
    let waiting = ask(
        &consul,
        format!("/v1/health/service/words?index={index}&wait=1s"),
    )
    .await;
    consul
        .put("/v1/agent/check/update/words:c", report("two"))
        .await;
    let (reply, took) = waiting.await.unwrap();
    assert_eq!(reply.index(), index);
    assert!(took >= Duration::from_secs(1));
}

pub async fn a_missing_service_is_watched(consul: Arc<Consul>) {
    let reply = consul.get("/v1/health/service/missing").await;
    assert_eq!((reply.status, reply.json()), (200, json!([])));
    // Whenever any service loses its last instance those who wait for a missing one wake, so
    // the wait is a loop.
    let watcher = tokio::spawn({
        let consul = Arc::clone(&consul);
        let mut index = reply.index();
        async move {
            loop {
                let path = format!("/v1/health/service/missing?index={index}&wait=20s");
                let reply = consul.get(&path).await;
                index = if reply.index() < index {
                    0
                } else {
                    reply.index()
                };
                if reply.json() != json!([]) {
                    return reply;
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let change = Instant::now();
    registered(&consul, "missing").await;
    assert_eq!(watcher.await.unwrap().json()[0]["Service"]["ID"], "missing");
    assert!(change.elapsed() < SOON);
}

pub async fn waits_and_indexes_are_checked(consul: Arc<Consul>) {
    for (query, text) in [
        ("index=1&wait=5", "Invalid wait time"),
        ("index=1&wait=abc", "Invalid wait time"),
        ("index=abc", "Invalid index"),
    ] {
        let reply = consul.get(&format!("/v1/health/service/x?{query}")).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (400, text),
            "{query}"
        );
    }
    assert_eq!(
        consul.get("/v1/health/service/x?passing=abc").await.status,
        400
    );
}

pub async fn a_hash_waits_for_a_difference(consul: Arc<Consul>) {
    let service = |port: u16| json!({ "ID": "hash", "Name": "hash", "Port": port });
    consul.register(&service(1)).await;
    let first = consul.get("/v1/agent/service/hash").await;
    let hash = first.header("x-consul-contenthash").unwrap().to_owned();
    assert_eq!(first.json()["ContentHash"], hash.as_str());

    let start = Instant::now();
    let same = consul
        .get(&format!("/v1/agent/service/hash?hash={hash}&wait=500ms"))
        .await;
    assert_eq!(
        (same.status, same.header("x-consul-contenthash")),
        (200, Some(hash.as_str()))
    );
    assert!(start.elapsed() >= Duration::from_millis(500));

    let waiting = ask(
        &consul,
        format!("/v1/agent/service/hash?hash={hash}&wait=20s"),
    )
    .await;
    consul.register(&service(2)).await;
    let (reply, took) = waiting.await.unwrap();
    assert_eq!(reply.json()["Port"], 2);
    assert_ne!(reply.header("x-consul-contenthash"), Some(hash.as_str()));
    assert!(took < SOON);
}

pub async fn a_hash_watch_ends_when_the_service_is_lost(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "lost", "Name": "lost" }))
        .await;
    let hash = consul
        .get("/v1/agent/service/lost")
        .await
        .header("x-consul-contenthash")
        .unwrap()
        .to_owned();
    let waiting = ask(
        &consul,
        format!("/v1/agent/service/lost?hash={hash}&wait=20s"),
    )
    .await;
    consul.put("/v1/agent/service/deregister/lost", "").await;
    let (reply, took) = waiting.await.unwrap();
    assert_eq!(reply.status, 404);
    assert!(took < SOON);
}
