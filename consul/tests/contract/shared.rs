//! What is built on keys and sessions: settings, orders, the directory of streams.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rackcast_consul::client::Write;
use rackcast_consul::directory::{self, Place};
use rackcast_consul::orders::{self, Order};
use rackcast_consul::settings::store::{self, StoreError};
use rackcast_consul::settings::{Author, Metrics, find, follow};
use rackcast_service::status::Role;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::common::Consul;

const SECOND: Duration = Duration::from_secs(1);

fn author(by: &str) -> Author {
    Author::new(by, SystemTime::now(), "")
}

/// Two who write the same setting at once, again and again: each write is there, in an order, and
/// none is lost.
pub async fn writers_at_once_lose_no_write(consul: Arc<Consul>) {
    const EACH: usize = 10;
    let setting = find("ingest.stream.max_streams").unwrap();
    let write = async |who: &'static str, base: usize| {
        let client = consul.client();
        for n in 0..EACH {
            let value = Some(json!(base + n));
            store::set(&client, setting, value, &author(who), None)
                .await
                .unwrap();
        }
    };
    tokio::join!(write("one", 1000), write("two", 2000));
    let stored = store::get(&consul.client(), setting).await.unwrap();
    let document = stored.document.unwrap();
    let mut values: Vec<u64> = [&document.now]
        .into_iter()
        .chain(&document.history)
        .map(|change| change.value.as_ref().unwrap().as_u64().unwrap())
        .collect();
    values.reverse();
    for base in [1000, 2000] {
        let own: Vec<u64> = values
            .iter()
            .copied()
            .filter(|v| v / base == 1 && v % base < 100)
            .collect();
        let all: Vec<u64> = (base..base + EACH as u64).collect();
        assert_eq!(own, all, "{values:?}");
    }

    // Who took it for something else is told so.
    let client = consul.client();
    let stale = Some(stored.revision - 1);
    let late = store::set(&client, setting, None, &author("late"), stale).await;
    assert!(matches!(late, Err(StoreError::Changed { .. })), "{late:?}");
    let good = Some(stored.revision);
    store::set(&client, setting, None, &author("late"), good)
        .await
        .unwrap()
        .unwrap();
    let bad = store::set(&client, setting, Some(json!("many")), &author("x"), None).await;
    assert!(matches!(bad, Err(StoreError::Invalid { .. })), "{bad:?}");
}

/// A daemon's settings: there at once, bad ones refused, the last good ones over a restart.
pub async fn settings_are_followed(consul: Arc<Consul>) {
    let client = consul.client();
    let state = tempfile::tempdir().unwrap();
    let begin = |consul: &Consul| {
        let (layers, layer) = tokio::sync::watch::channel(toml::Table::new());
        let stop = CancellationToken::new();
        let metrics = Metrics::register(&Default::default()).unwrap();
        let standing = follow(
            consul.client(),
            Role::Ingest,
            Some(state.path().to_owned()),
            metrics,
            stop.clone(),
            move |layer| match layer.to_string().contains("77") {
                true => Err("nobody likes 77".to_owned()),
                false => {
                    layers.send_replace(layer);
                    Ok(())
                }
            },
        );
        (standing, layer, stop.drop_guard())
    };
    let (mut standing, mut layer, stop) = begin(&consul);
    standing.wait_for(|standing| standing.fresh).await.unwrap();
    let rate = find("ingest.rtmp.connections").unwrap();
    let set = async |value: Option<serde_json::Value>| {
        store::set(&client, rate, value, &author("ann"), None)
            .await
            .unwrap();
    };
    let begun = Instant::now();
    set(Some(json!(60))).await;
    layer
        .wait_for(|layer| layer.to_string().contains("connections = 60"))
        .await
        .unwrap();
    // It is told: a question that nothing answers lasts for a minute.
    assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());

    // Refused by the daemon, and by everybody.
    set(Some(json!(77))).await;
    let refused = |name: &'static str, why: &'static str| {
        move |standing: &rackcast_consul::settings::Standing| {
            standing.refused.get(name).is_some_and(|r| r.contains(why))
        }
    };
    standing
        .wait_for(refused(rate.name, "nobody likes 77"))
        .await
        .unwrap();
    let key = format!("rackcast/settings/{}", rate.name);
    let at = client.kv_get(&key).await.unwrap().unwrap().modify_index;
    assert!(
        client
            .kv_put(&key, "rubbish", Write::IfAt(at))
            .await
            .unwrap()
    );
    standing
        .wait_for(refused(rate.name, "not understood"))
        .await
        .unwrap();
    assert!(
        layer.borrow().to_string().contains("connections = 60"),
        "{}",
        *layer.borrow()
    );
    drop(stop);

    // A daemon that starts while Consul cannot say anything good begins with what it had.
    let (mut standing, mut layer, _stop) = begin(&consul);
    assert!(
        layer.borrow().to_string().contains("connections = 60"),
        "{}",
        *layer.borrow()
    );
    standing
        .wait_for(refused(rate.name, "not understood"))
        .await
        .unwrap();
    assert!(
        layer.borrow().to_string().contains("connections = 60"),
        "{}",
        *layer.borrow()
    );
    set(None).await;
    layer.wait_for(toml::Table::is_empty).await.unwrap();
    set(Some(json!(50))).await;
    layer
        .wait_for(|layer| layer.to_string().contains("connections = 50"))
        .await
        .unwrap();
    standing
        .wait_for(|standing| standing.refused.is_empty())
        .await
        .unwrap();
}

/// An order to drain reaches its machine and no other.
pub async fn orders_reach_their_machine(consul: Arc<Consul>) {
    let client = consul.client();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let mut one = orders::follow(consul.client(), "order-1", stop.clone());
    let mut ten = orders::follow(consul.client(), "order-10", stop);
    for standing in [&mut one, &mut ten] {
        standing
            .wait_for(|s| *s == orders::Standing::None)
            .await
            .unwrap();
    }
    let order = Order {
        by: "ann@desk".to_owned(),
        at: SystemTime::UNIX_EPOCH + SECOND * 1_800_000_000,
        reason: "disk swap".to_owned(),
        deadline: None,
        resume: false,
    };
    orders::give(&client, "order-10", &order).await.unwrap();
    let wanted = orders::Standing::Given(order.clone());
    ten.wait_for(|s| *s == wanted).await.unwrap();
    let all = orders::list(&client).await.unwrap();
    assert!(all.contains(&("order-10".to_owned(), order.clone())));
    let resume = Order {
        resume: true,
        ..order
    };
    orders::give(&client, "order-10", &resume).await.unwrap();
    let wanted = orders::Standing::Given(resume);
    ten.wait_for(|s| *s == wanted).await.unwrap();
    assert_eq!(*one.borrow(), orders::Standing::None);
    assert!(!one.has_changed().unwrap());
}

/// Two ingests have the same stream: the newest epoch is first, and goes with its session.
pub async fn the_directory_knows_the_newest_first(consul: Arc<Consul>) {
    let client = consul.client();
    let stream = "live/dir".parse().unwrap();
    let place = |epoch: u64| Place {
        ingest: format!("i{epoch}"),
        node: "n".to_owned(),
        zone: String::new(),
        epoch,
        sequence: epoch / 1000,
        discontinuity: None,
        waiting: false,
        public: "http://10.0.0.1:8080".to_owned(),
        internal: "10.0.0.1:8080".to_owned(),
        since: SystemTime::UNIX_EPOCH,
        at: SystemTime::UNIX_EPOCH,
    };
    let old = client.session_create("old", SECOND * 10).await.unwrap();
    let new = client.session_create("new", SECOND * 10).await.unwrap();
    assert!(
        directory::enter(&client, &stream, &place(1000), &old)
            .await
            .unwrap()
    );
    assert!(
        directory::enter(&client, &stream, &place(2000), &new)
            .await
            .unwrap()
    );
    assert!(
        !directory::enter(&client, &stream, &place(2000), &old)
            .await
            .unwrap()
    );
    let other = "live/directory".parse().unwrap();
    assert!(
        directory::enter(&client, &other, &place(1), &old)
            .await
            .unwrap()
    );
    let epochs = async || {
        let found = directory::find(&client, &stream).await.unwrap();
        found.iter().map(|place| place.epoch).collect::<Vec<_>>()
    };
    assert_eq!(epochs().await, [2000, 1000]);
    assert_eq!(directory::list(&client).await.unwrap().len(), 3);
    assert!(client.session_renew(&new).await.unwrap());
    client.session_destroy(&new).await.unwrap();
    assert_eq!(epochs().await, [1000]);
    assert!(!client.session_renew(&new).await.unwrap());
    directory::enter(&client, &stream, &place(3000), &new)
        .await
        .unwrap_err();
    directory::remove(&client, &stream, 1000).await.unwrap();
    directory::remove(&client, &stream, 1000).await.unwrap();
    assert!(epochs().await.is_empty());
}
