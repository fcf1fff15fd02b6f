//! What a watcher sees.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rackcast_consul::register::Status;
use rackcast_consul::watch::{State, View, Watch, watch};
use rackcast_service::backoff::Backoff;
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::common::{Consul, Kind};

const GRACE: Duration = Duration::from_secs(2);

fn start(consul: &Consul) -> (Receiver<View>, CancellationToken) {
    let shutdown = CancellationToken::new();
    let mut follow = Watch::new("web");
    follow.empty_grace = GRACE;
    follow.retry = Backoff::between(Duration::from_millis(50), Duration::from_millis(500));
    (watch(consul.client(), follow, shutdown.clone()), shutdown)
}

/// Waits for a view and tells how long it took.
async fn becomes(views: &mut Receiver<View>, what: &str, is: impl Fn(&View) -> bool) -> Duration {
    let start = Instant::now();
    let limit = Duration::from_secs(10);
    let waited = tokio::time::timeout(limit, views.wait_for(is))
        .await
        .map(|found| drop(found.unwrap()));
    assert!(waited.is_ok(), "still not {what}: {:?}", views.borrow());
    start.elapsed()
}

fn ids(view: &View) -> Vec<&str> {
    view.nodes.iter().map(|node| node.id.as_str()).collect()
}

fn is_doubted(view: &View) -> bool {
    matches!(view.state, State::LastKnownGood { .. })
}

async fn register(consul: &Consul, id: &str) {
    consul
        .register(
            &json!({ "ID": id, "Name": "web", "Address": "10.0.0.1", "Port": 80,
            "Check": { "CheckID": format!("{id}:c"), "TTL": "60s", "Status": "passing" } }),
        )
        .await;
}

pub async fn a_view_follows_the_catalog(kind: Kind) {
    let consul = Consul::start(kind).await;
    let (mut views, shutdown) = start(&consul);
    becomes(&mut views, "fresh and empty", |v| {
        v.state == State::Fresh && v.nodes.is_empty()
    })
    .await;
    register(&consul, "a").await;
    becomes(&mut views, "one", |v| ids(v) == ["a"]).await;
    register(&consul, "b").await;
    becomes(&mut views, "two", |v| ids(v) == ["a", "b"]).await;
    consul.put("/v1/agent/check/fail/a:c", "").await;
    becomes(&mut views, "a critical", |v| {
        v.nodes[0].health == Status::Critical
    })
    .await;
    consul
        .put("/v1/agent/service/maintenance/b?enable=true", "")
        .await;
    becomes(&mut views, "b in maintenance", |v| v.nodes[1].maintenance).await;
    assert_eq!(views.borrow().nodes[1].health, Status::Passing);
    consul.put("/v1/agent/service/deregister/a", "").await;
    becomes(&mut views, "b alone", |v| ids(v) == ["b"]).await;
    assert_eq!(views.borrow().state, State::Fresh);

    // The last one leaves: not believed at once, but after the grace.
    let left = Instant::now();
    consul.put("/v1/agent/service/deregister/b", "").await;
    becomes(&mut views, "in doubt", is_doubted).await;
    assert_eq!(ids(&views.borrow()), ["b"]);
    becomes(&mut views, "empty", |v| v.nodes.is_empty()).await;
    assert!(
        left.elapsed() >= GRACE,
        "believed after {:?}",
        left.elapsed()
    );
    assert_eq!(views.borrow().state, State::Fresh);

    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), async {
        while views.changed().await.is_ok() {}
    });
    ended.await.expect("the watch ends with the shutdown");
}

pub async fn an_absent_catalog_leaves_the_last_known(kind: Kind) {
    let mut consul = Consul::start(kind).await;
    let (mut views, _shutdown) = start(&consul);
    for number in 0..10 {
        register(&consul, &format!("old-{number}")).await;
    }
    register(&consul, "a").await;
    becomes(&mut views, "all", |v| v.nodes.len() == 11).await;
    consul.stop().await;
    becomes(&mut views, "last known", is_doubted).await;
    assert_eq!(views.borrow().nodes.len(), 11);

    // It comes back empty, with an index that is far lower than the one that was waited on.
    consul.start_empty().await;
    becomes(&mut views, "emptiness in doubt", |v| {
        matches!(&v.state, State::LastKnownGood { reason, .. } if reason.contains("no instance"))
    })
    .await;
    assert_eq!(views.borrow().nodes.len(), 11);
    register(&consul, "b").await;
    let took = becomes(&mut views, "the new one", |v| ids(v) == ["b"]).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(views.borrow().state, State::Fresh);
}

pub async fn many_changes_cost_few_wakes(kind: Kind) {
    const MANY: usize = 40;
    let consul = Consul::start(kind).await;
    for number in 0..MANY {
        register(&consul, &format!("w-{number}")).await;
    }
    let (mut views, _shutdown) = start(&consul);
    becomes(&mut views, "all", |v| v.nodes.len() == MANY).await;
    // Let the rest after the first answer pass, so that the next change is delivered at once.
    tokio::time::sleep(Duration::from_millis(300)).await;

    let client = consul.client();
    let start = Instant::now();
    let flip = async |number: usize| {
        let words = format!("w-{number}:c");
        assert!(
            client
                .update_ttl(&words, Status::Warning, "")
                .await
                .unwrap()
        );
    };
    flip(0).await;
    becomes(&mut views, "the first", |v| {
        v.nodes.iter().any(|n| n.health == Status::Warning)
    })
    .await;
    let first = start.elapsed();
    let changes = join_all((1..MANY).map(flip));
    let wakes = async {
        let mut wakes = 1;
        while views
            .borrow_and_update()
            .nodes
            .iter()
            .any(|n| n.health != Status::Warning)
        {
            views.changed().await.unwrap();
            wakes += 1;
        }
        wakes
    };
    let both = async { tokio::join!(wakes, changes).0 };
    let wakes: u128 = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .expect("all are seen");
    let all = start.elapsed();
    // A wake for every rest of at least 100 ms, and the one before the first rest.
    let most = 2 + all.as_millis() / 100;
    println!("{wakes} wakes for {MANY} changes in {all:?}, the first after {first:?}");
    assert!(wakes <= most, "{wakes} wakes in {all:?}");
    assert!(
        first < Duration::from_secs(5),
        "the first change took {first:?}"
    );
}
