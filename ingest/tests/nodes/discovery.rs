//! Discovery against the development catalog and real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use rackcast_consul::catalog::Catalog;
use rackcast_consul::client::{self, Client};
use rackcast_consul::register::{Registration, Service, Weights};
use rackcast_consul::watch::{Watch, watch};
use rackcast_ingest::discovery;
use rackcast_ingest::dispatch::Dispatcher;
use rackcast_route::table::{FailureKind, NodeView, Standing};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::fleet::{PLENTY, dispatcher, unhedged};
use super::node::Node;

const SERVICE: &str = "rackcast-transcode";

struct Ingest {
    dispatcher: Arc<Dispatcher>,
    ready: Receiver<bool>,
    shutdown: CancellationToken,
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Ingest {
    fn start(consul: &Client, state: &Path) -> Self {
        let registry = Registry::new();
        let mut config = unhedged();
        config.route.probe_interval = Duration::from_millis(100);
        let dispatcher = dispatcher(&config, &registry);
        let shutdown = CancellationToken::new();
        let view = watch(consul.clone(), Watch::new(SERVICE), shutdown.clone());
        let config = discovery::Config {
            first_answer: Duration::from_millis(300),
            ..discovery::Config::default()
        };
        let ready = discovery::start(
            config,
            Some(state.to_owned()),
            vec![view],
            Arc::clone(&dispatcher),
            &registry,
            shutdown.clone(),
        );
        Self {
            dispatcher,
            ready: ready.unwrap(),
            shutdown,
        }
    }

    fn view<T>(&self, id: &str, f: impl Fn(NodeView<'_>) -> T) -> Option<T> {
        let router = self.dispatcher.router();
        let mut nodes = router.table().nodes(Instant::now());
        nodes.find(|n| n.member.id.as_str() == id).map(f)
    }

    fn ids(&self) -> Vec<String> {
        let router = self.dispatcher.router();
        let nodes = router.table().nodes(Instant::now());
        nodes.map(|n| n.member.id.to_string()).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + PLENTY;
        while !condition(self) {
            assert!(Instant::now() < limit, "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn catalog() -> (Client, CancellationToken) {
    let catalog = Catalog::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = format!("http://{}", catalog.addr());
    let shutdown = CancellationToken::new();
    tokio::spawn(catalog.serve(shutdown.clone()));
    let config = client::Config {
        address,
        ..client::Config::default()
    };
    (Client::new(&config).unwrap(), shutdown)
}

fn registration(id: &str, addr: SocketAddr, meta: &[(&str, &str)]) -> Registration {
    let meta = meta.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Registration {
        service: Service {
            id: id.to_owned(),
            name: SERVICE.to_owned(),
            tags: Vec::new(),
            address: addr.ip().to_string(),
            port: addr.port(),
            meta: meta.collect(),
            weights: Weights::default(),
        },
        checks: Vec::new(),
    }
}

#[tokio::test]
async fn nodes_come_and_go_with_the_catalog() {
    let (consul, _stop) = catalog().await;
    let state = tempfile::tempdir().unwrap();
    let node = Node::start(vec![]).await;
    let meta = [("protocol", "1"), ("slots", "3"), ("zone", "z9")];
    for (id, meta) in [
        ("a", &meta[..]),
        ("b", &meta),
        ("odd", &[("protocol", "99")]),
    ] {
        let registration = registration(id, node.addr, meta);
        consul.register_service(&registration).await.unwrap();
    }
    let mut ingest = Ingest::start(&consul, state.path());
    ingest.ready.wait_for(|ready| *ready).await.unwrap();
    ingest.until("both", |i| i.ids() == ["a", "b"]).await;
    let about = ingest.view("a", |n| (n.member.slots, n.member.zone.clone()));
    assert_eq!(about, Some((3, "z9".to_owned())));
    // The fake node reports 4 slots: the probe learns what the catalog does not say.
    ingest
        .until("the probe", |i| {
            i.view("a", |n| n.network > Duration::ZERO) == Some(true)
        })
        .await;

    consul.set_maintenance("a", Some("drain")).await.unwrap();
    ingest.until("the drain", |i| i.ids() == ["b"]).await;
    consul.set_maintenance("a", None).await.unwrap();
    ingest.until("the return", |i| i.ids() == ["a", "b"]).await;
    consul.deregister_service("b").await.unwrap();
    ingest.until("the end", |i| i.ids() == ["a"]).await;
}

#[tokio::test]
async fn without_consul_the_nodes_of_the_last_life_are_used() {
    let (consul, stop) = catalog().await;
    let state = tempfile::tempdir().unwrap();
    let node = Node::start(vec![]).await;
    let registration = registration("a", node.addr, &[("protocol", "1")]);
    consul.register_service(&registration).await.unwrap();
    let ingest = Ingest::start(&consul, state.path());
    let saved = state.path().join("transcode-nodes.json");
    ingest.until("the file", |_| saved.exists()).await;

    stop.cancel();
    let second = Ingest::start(&consul, state.path());
    second.until("the saved list", |i| i.ids() == ["a"]).await;
    let mut ready = second.ready.clone();
    ready.wait_for(|ready| *ready).await.unwrap();
    assert_eq!(ingest.ids(), ["a"], "the first goes on with what it knows");

    std::fs::write(&saved, "not JSON").unwrap();
    let third = Ingest::start(&consul, state.path());
    let mut ready = third.ready.clone();
    ready.wait_for(|ready| *ready).await.unwrap();
    assert!(third.ids().is_empty());
}

#[tokio::test]
async fn a_probe_finds_the_dead_and_the_risen() {
    let (consul, _stop) = catalog().await;
    let state = tempfile::tempdir().unwrap();
    let node = Node::start(vec![]).await;
    let addr = node.addr;
    let registration = registration("a", addr, &[("protocol", "1")]);
    consul.register_service(&registration).await.unwrap();
    let ingest = Ingest::start(&consul, state.path());
    ingest.until("the node", |i| i.ids() == ["a"]).await;
    drop(node);
    let ejected = |s: Standing| matches!(s, Standing::Ejected(FailureKind::Connect, _));
    ingest
        .until("the ejection", |i| {
            i.view("a", |n| ejected(n.standing)) == Some(true)
        })
        .await;
    let _risen = Node::at(addr, vec![]).await;
    ingest
        .until("the trial", |i| {
            i.view("a", |n| n.standing) == Some(Standing::Trial)
        })
        .await;
}
