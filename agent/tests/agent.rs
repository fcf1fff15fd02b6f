//! The agent between a service that this test plays and the development catalog.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rackcast_agent::config::{Check, Config};
use rackcast_agent::daemon::{self, StartError};
use rackcast_consul::catalog::Catalog;
use rackcast_consul::client::{self, AgentCheck, Client};
use rackcast_consul::reconcile;
use rackcast_consul::register::Status;
use rackcast_service::process::Command;
use rackcast_service::status::{Health, Role, ServiceStatus, Serving, serve};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const ID: &str = "test-transcode-rack-1-0";
const DEVICES: &str = "test-transcode-rack-1-0:devices";
const LIMIT: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// A catalog and a folder for sockets.
struct Scene {
    folder: TempDir,
    consul: Client,
    address: String,
    _catalog: DropGuard,
}

/// An agent that runs in this process.
struct Agent {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), StartError>>,
}

/// A transcode node, as far as an agent can see.
struct Service {
    says: watch::Sender<ServiceStatus>,
    stop: CancellationToken,
    serving: Serving,
    work: JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        let catalog = Catalog::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = format!("http://{}", catalog.addr());
        let stop = CancellationToken::new();
        tokio::spawn(catalog.serve(stop.clone()));
        let config = client::Config {
            address: address.clone(),
            ..Default::default()
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            consul: Client::new(&config).unwrap(),
            address,
            _catalog: stop.drop_guard(),
        }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> Config {
        Config {
            node: "rack-1".into(),
            zone: "hall-2".into(),
            service_prefix: "test".into(),
            socket_dir: self.folder.path().to_owned(),
            status_socket: self.socket("agent.sock"),
            admin: "127.0.0.1:0".parse().unwrap(),
            consul: client::Config {
                address: self.address.clone(),
                ..Default::default()
            },
            check: Check {
                scan_interval: Duration::from_millis(20),
                poll_interval: Duration::from_millis(50),
                http_interval: SECOND,
                forget_after: 6 * SECOND,
                ttl: 60 * SECOND,
                recover_after: Duration::from_millis(100),
                ..Check::default()
            },
            reconcile: reconcile::Config {
                report_interval: 30 * SECOND,
                report_max_age: 60 * SECOND,
                ..Default::default()
            },
            ..Config::default()
        }
    }

    fn agent(&self) -> Agent {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(daemon::run(self.config(), None, shutdown.clone()));
        Agent { shutdown, task }
    }

    async fn check(&self, id: &str) -> Option<AgentCheck> {
        self.consul.agent_checks().await.unwrap().remove(id)
    }

    async fn registered(&self) -> bool {
        self.consul.agent_services().await.unwrap().contains_key(ID)
    }

    /// Waits until the check `devices` says so; returns how long that took.
    async fn devices(&self, status: Status, output: &str) -> Duration {
        let began = Instant::now();
        until(&format!("devices to be {status}: {output}"), async || {
            let check = self.check(DEVICES).await;
            check.is_some_and(|check| check.status == status && check.output == output)
        })
        .await;
        began.elapsed()
    }
}

impl Agent {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl Service {
    fn start(socket: &Path) -> Self {
        let (says, heard) = watch::channel(a_node());
        let stop = CancellationToken::new();
        let serving = serve(socket, heard, stop.clone()).unwrap();
        let progress = says.clone();
        let work = tokio::spawn(async move {
            loop {
                progress.send_modify(|status| status.progress += 1);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self {
            says,
            stop,
            serving,
            work,
        }
    }

    fn says(&self, change: impl FnOnce(&mut ServiceStatus)) {
        self.says.send_modify(change);
    }

    async fn vanish(self) {
        self.work.abort();
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

fn a_node() -> ServiceStatus {
    let at = |text: &str| text.parse().unwrap();
    ServiceStatus {
        role: Role::Transcode,
        instance: "0".into(),
        node: "rack-1".into(),
        version: "0.1.0".into(),
        pid: std::process::id(),
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("2 devices"),
        // Nothing listens on the admin address: Consul's own look at it is not the subject here.
        endpoints: [("segments".to_owned(), at("127.0.0.1:7400"))].into(),
        tags: vec!["cpu".into()],
        meta: [("slots".to_owned(), "2".to_owned())].into(),
        weight: 2,
        progress: 0,
        still_ms: None,
        beat_ms: 10,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_service_is_registered_judged_and_deregistered() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let service = Service::start(&scene.socket("transcode.sock"));

    scene.devices(Status::Passing, "2 devices").await;
    let registered = scene
        .consul
        .agent_services()
        .await
        .unwrap()
        .remove(ID)
        .unwrap();
    assert_eq!(registered.name, "test-transcode");
    assert_eq!(
        (registered.address.as_str(), registered.port),
        ("127.0.0.1", 7400)
    );
    assert_eq!(registered.tags, ["cpu", "zone-hall-2"]);
    assert_eq!(registered.weights.passing, 2);
    let meta = |key: &str| registered.meta.get(key).map(String::as_str);
    assert_eq!(meta("zone"), Some("hall-2"));
    assert_eq!(meta("slots"), Some("2"));
    assert_eq!(meta("rackcast-owner"), Some("rackcast-agent-rack-1"));

    service.says(|status| status.health = Health::critical("no device is left"));
    let took = scene.devices(Status::Critical, "no device is left").await;
    assert!(
        took < 10 * SECOND,
        "a change waits for no refresh, and took {took:?}"
    );
    service.says(|status| status.health = Health::passing("1 device"));
    scene.devices(Status::Passing, "1 device").await;

    agent.stop().await;
    assert!(!scene.registered().await);
    assert!(!scene.socket("agent.sock").exists());
    service.vanish().await;
}

#[tokio::test]
async fn a_draining_service_is_in_maintenance_and_goes_when_it_ends() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let service = Service::start(&scene.socket("transcode.sock"));
    scene.devices(Status::Passing, "2 devices").await;

    service.says(|status| status.draining = true);
    let maintenance = format!("_service_maintenance:{ID}");
    until("maintenance", async || {
        scene.check(&maintenance).await.is_some()
    })
    .await;
    let reason = scene.check(&maintenance).await.unwrap().notes;
    assert!(reason.contains("draining"), "{reason:?}");
    service.says(|status| status.draining = false);
    until("the end of maintenance", async || {
        scene.check(&maintenance).await.is_none()
    })
    .await;

    service.says(|status| status.draining = true);
    until("maintenance", async || {
        scene.check(&maintenance).await.is_some()
    })
    .await;
    service.vanish().await;
    until("deregistration", async || !scene.registered().await).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_service_that_vanishes_is_critical_until_it_returns_or_is_forgotten() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let socket = scene.socket("transcode.sock");
    let gone = "not running: nobody listens on its status socket";

    let service = Service::start(&socket);
    scene.devices(Status::Passing, "2 devices").await;
    service.vanish().await;
    scene.devices(Status::Critical, gone).await;
    let service = Service::start(&socket);
    scene.devices(Status::Passing, "2 devices").await;

    service.vanish().await;
    scene.devices(Status::Critical, gone).await;
    until("deregistration", async || !scene.registered().await).await;
    agent.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_killed_and_started_again_leaves_no_hole() {
    let scene = Scene::new().await;
    let config = scene.socket("agent.toml");
    let text = format!(
        "node = 'rack-1'\nservice_prefix = 'test'\nsocket_dir = {folder:?}\n\
         status_socket = '{folder}/agent.sock'\nadmin = '127.0.0.1:0'\n\
         consul.address = {consul:?}\ncheck.poll_interval = '50ms'\n",
        folder = scene.folder.path().to_str().unwrap(),
        consul = scene.address,
    );
    std::fs::write(&config, text).unwrap();
    let start = || {
        let agent = Command::new(env!("CARGO_BIN_EXE_rackcast-agent"));
        agent.arg("--config").arg(&config).spawn().unwrap()
    };
    let service = Service::start(&scene.socket("transcode.sock"));
    let mut agent = start();
    scene.devices(Status::Passing, "2 devices").await;
    agent.kill().unwrap();
    agent.wait().await.unwrap();
    assert!(scene.registered().await);

    service.says(|status| status.health = Health::warning("1 of 2 devices"));
    let mut agent = start();
    until("the new agent's word", async || {
        assert!(scene.registered().await, "a hole");
        scene
            .check(DEVICES)
            .await
            .is_some_and(|check| check.status == Status::Warning)
    })
    .await;
    assert!(agent.stop(LIMIT).await.unwrap().success());
    assert!(!scene.registered().await);
    service.vanish().await;
}

#[tokio::test]
async fn what_consul_loses_is_registered_again() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let service = Service::start(&scene.socket("transcode.sock"));
    scene.devices(Status::Passing, "2 devices").await;
    scene.consul.deregister_service(ID).await.unwrap();
    scene.devices(Status::Passing, "2 devices").await;
    agent.stop().await;
    service.vanish().await;
}

#[tokio::test]
async fn an_agent_that_hands_over_leaves_the_registrations_to_its_successor() {
    let scene = Scene::new().await;
    let service = Service::start(&scene.socket("transcode.sock"));
    let (shutdown, hand_over) = (CancellationToken::new(), CancellationToken::new());
    let running = daemon::run_until(scene.config(), None, shutdown, hand_over.clone());
    let first = tokio::spawn(running);
    scene.devices(Status::Passing, "2 devices").await;
    hand_over.cancel();
    first.await.unwrap().unwrap();
    assert!(scene.registered().await);
    let second = scene.agent();
    service.says(|status| status.health = Health::warning("1 of 2 devices"));
    scene.devices(Status::Warning, "1 of 2 devices").await;
    second.stop().await;
    assert!(!scene.registered().await);
    service.vanish().await;
}
