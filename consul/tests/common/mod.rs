//! Both catalogs behind one face, and a plain HTTP client to talk to them without our own.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod http;
pub mod real;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use rackcast_consul::catalog::Catalog;
use rackcast_consul::client::{Client, Config};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use http::Reply;
use real::RealConsul;

/// Which catalog a suite runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Development,
    Real,
}

/// A running catalog that can be stopped, and started again with nothing in it.
pub struct Consul {
    pub kind: Kind,
    pub address: SocketAddr,
    running: Option<Running>,
}

enum Running {
    Development(CancellationToken, JoinHandle<()>),
    Real(RealConsul),
}

impl Consul {
    pub async fn start(kind: Kind) -> Self {
        let (address, running) = match kind {
            Kind::Real => {
                let consul = RealConsul::start(None).await;
                (consul.address, Running::Real(consul))
            }
            Kind::Development => develop(Catalog::bind(([127, 0, 0, 1], 0).into()).await.unwrap()),
        };
        Self {
            kind,
            address,
            running: Some(running),
        }
    }

    /// Ends it as a power cut would.
    pub async fn stop(&mut self) {
        match self.running.take() {
            Some(Running::Development(stop, task)) => {
                stop.cancel();
                task.await.unwrap();
            }
            Some(Running::Real(consul)) => drop(consul),
            None => {}
        }
    }

    /// Starts it again at the same address with nothing in it.
    pub async fn start_empty(&mut self) {
        self.running = Some(match self.kind {
            Kind::Real => Running::Real(RealConsul::start(Some(self.address)).await),
            Kind::Development => {
                // Somebody may have had the port in the meantime, for a connection of theirs.
                let bound = bind_again(self.address).await;
                develop(bound).1
            }
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn client(&self) -> Client {
        Client::new(&Config {
            address: self.url(),
            ..Config::default()
        })
        .unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        http::send("GET", self.address, path, &[], "")
            .await
            .unwrap()
    }

    pub async fn put(&self, path: &str, body: impl Into<String>) -> Reply {
        http::send("PUT", self.address, path, &[], &body.into())
            .await
            .unwrap()
    }

    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        http::send(method, self.address, path, &[], body)
            .await
            .unwrap()
    }

    /// Registers a service and expects it to be taken.
    pub async fn register(&self, service: &serde_json::Value) {
        let reply = self
            .put("/v1/agent/service/register", service.to_string())
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let (id, name) = (service["ID"].as_str(), service["Name"].as_str().unwrap());
        let id = id.unwrap_or(name).to_owned();
        // The agent answers before the servers know.
        eventually("the servers know the service", || async {
            let found = self
                .get(&format!("/v1/catalog/service/{name}"))
                .await
                .json();
            found
                .as_array()
                .unwrap()
                .iter()
                .any(|found| found["ServiceID"] == id.as_str())
        })
        .await;
    }
}

async fn bind_again(address: SocketAddr) -> Catalog {
    let start = Instant::now();
    loop {
        match Catalog::bind(address).await {
            Ok(catalog) => return catalog,
            Err(e) => assert!(start.elapsed() < LIMIT, "{address}: {e}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn develop(catalog: Catalog) -> (SocketAddr, Running) {
    let address = catalog.addr();
    let stop = CancellationToken::new();
    let task = tokio::spawn(catalog.serve(stop.clone()));
    (address, Running::Development(stop, task))
}

/// Pause between two questions of [`eventually`].
const PAUSE: Duration = Duration::from_millis(10);

/// What a wait took: time, and the catalog's answers that said "not yet".
#[derive(Debug, Clone, Copy)]
pub struct Took {
    time: Duration,
    answers: u32,
}

impl Took {
    /// Whether it was over within `limit`, by the clock or by what the catalog could answer in
    /// that time.
    ///
    /// On a machine with eight busy loops for two cores, a test that asks every 10 ms was seen to
    /// get one to four answers in a second: it and the catalog got no more of the processor. Such
    /// a second says nothing of the code under test, whose own delays, a backoff or a question
    /// that is held, span as many answers as ever.
    pub fn within(&self, limit: Duration) -> bool {
        // What answering takes lets an idle machine ask less often than the pause would.
        let many = limit.as_millis() / PAUSE.as_millis() * 3 / 4;
        self.time < limit || u128::from(self.answers) < many
    }
}

/// How long [`eventually`] waits.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits for a condition, and fails at the limit; says what it took.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) -> Took {
    let start = Instant::now();
    let mut answers = 0;
    while !condition().await {
        answers += 1;
        assert!(start.elapsed() < LIMIT, "still not: {what}");
        tokio::time::sleep(PAUSE).await;
    }
    Took {
        time: start.elapsed(),
        answers,
    }
}

/// The longest that a case may take.
const CASE: Duration = Duration::from_secs(60);

/// A case of a suite.
pub type Case = (&'static str, Pin<Box<dyn Future<Output = ()> + Send>>);

/// Runs cases side by side, since most of their time is waiting; names those that fail.
pub async fn run_all(suite: &str, cases: Vec<Case>) {
    let mut running = JoinSet::new();
    let mut names = std::collections::HashMap::new();
    for (name, case) in cases {
        let timed = async move {
            let start = Instant::now();
            let ended = tokio::time::timeout(CASE, case).await;
            assert!(ended.is_ok(), "{name}: not over after {CASE:?}");
            println!("{name}: {:.1?}", start.elapsed());
        };
        names.insert(running.spawn(timed).id(), name);
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next_with_id().await {
        if let Err(error) = ended {
            failed.push(names[&error.id()]);
        }
    }
    assert!(
        failed.is_empty(),
        "{suite}: {} of {} failed: {failed:?}",
        failed.len(),
        names.len()
    );
}
