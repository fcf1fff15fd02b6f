//! Several transcode nodes as an ingest sees them: each behind a [`Proxy`] and a [`Wire`], in a
//! catalog that believes whatever it is told.
//!
//! The nodes are registered without checks, so that nothing but what the ingest sees for itself
//! tells it of a fault: a catalog that knew would make it easier.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rackcast_consul::catalog::Catalog;
use rackcast_consul::client::{Client, Config};
use rackcast_consul::register::{Registration, Service, Weights};
use rackcast_segment::wire::PROTOCOL;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::process::{kill9, signal};
use crate::proxy::{Asked, Proxy};
use crate::rack::Node;
use crate::wire::Wire;

/// Name of the service, as ingests look for it.
const SERVICE: &str = "rackcast-transcode";
/// One turn of a slowed node: a tenth of it runs.
const PULSE: Duration = Duration::from_millis(200);

/// A development catalog of the test's own.
#[derive(Debug)]
pub struct Directory {
    /// Base address of its API.
    pub url: String,
    client: Client,
    _serving: AbortOnDropHandle<()>,
}

impl Directory {
    /// An empty one.
    ///
    /// # Panics
    /// There is no free address.
    pub async fn start() -> Self {
        let catalog = Catalog::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("http://{}", catalog.addr());
        let serving = tokio::spawn(catalog.serve(CancellationToken::new()));
        let config = Config {
            address: url.clone(),
            ..Config::default()
        };
        Self {
            url,
            client: Client::new(&config).unwrap(),
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Enters a node.
    ///
    /// # Panics
    /// The catalog refuses it.
    pub async fn add(&self, site: &Site) {
        let meta = [
            ("zone", site.zone.as_str()),
            ("slots", &site.slots.to_string()),
        ];
        self.enter(&site.id, site.wire.address, &meta).await;
    }

    /// Enters whatever a catalog might say.
    ///
    /// # Panics
    /// The catalog refuses it.
    pub async fn enter(&self, id: &str, address: SocketAddr, meta: &[(&str, &str)]) {
        let protocol = PROTOCOL.to_string();
        let all = meta
            .iter()
            .copied()
            .chain([("protocol", protocol.as_str())]);
        let service = Service {
            id: id.to_owned(),
            name: SERVICE.to_owned(),
            tags: Vec::new(),
            address: address.ip().to_string(),
            port: address.port(),
            meta: all
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            weights: Weights::default(),
        };
        let registration = Registration {
            service,
            checks: Vec::new(),
        };
        self.client.register_service(&registration).await.unwrap();
    }

    /// Removes a node.
    ///
    /// # Panics
    /// The catalog fails.
    pub async fn remove(&self, site: &Site) {
        self.client.deregister_service(&site.id).await.unwrap();
    }
}

/// Configuration of a node of which a small and busy machine carries several.
pub fn cheap(slots: usize) -> String {
    // Streams that are told apart by their bitrates need a warm pipeline each.
    format!(
        "[worker]\ncount = {slots}\nnice = 0\nwarm_pipelines = 16\n\
         [encoder]\npreset = \"ultrafast\""
    )
}

/// A transcode node with what stands between it and an ingest.
#[derive(Debug)]
pub struct Site {
    /// Its ID in the catalog.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Jobs at a time.
    pub slots: usize,
    /// The node.
    pub node: Node,
    /// Faults and notes.
    pub proxy: Proxy,
    /// Latency, and the address that the catalog has.
    pub wire: Wire,
}

impl Site {
    /// Starts a sound one.
    ///
    /// # Panics
    /// The node does not become ready.
    pub async fn start(name: &str, zone: &str, slots: usize) -> Self {
        let node = Node::start(&cheap(slots)).await;
        let proxy = Proxy::start(node.address).await;
        let wire = Wire::start(proxy.address);
        Self {
            id: format!("{SERVICE}-{name}"),
            zone: zone.to_owned(),
            slots,
            node,
            proxy,
            wire,
        }
    }

    /// `kill -9`. Whoever talks to it is cut off and whoever calls is refused, as if the
    /// process had listened itself.
    pub fn kill(&self) {
        kill9(self.node.pid());
        self.wire.cut();
    }

    /// Makes it ten times slower until the value is dropped.
    pub fn slow(&self) -> Slowed {
        Slowed::start(self.node.pids())
    }

    /// What it was asked since a moment.
    pub fn asked_since(&self, from: Instant) -> Vec<Asked> {
        let mut asked = self.proxy.asked();
        asked.retain(|asked| asked.at >= from);
        asked
    }
}

/// Processes that stand still nine tenths of the time.
#[derive(Debug)]
pub struct Slowed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slowed {
    fn start(pids: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                pids.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
                std::thread::sleep(PULSE * 9 / 10);
                pids.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
                std::thread::sleep(PULSE / 10);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
