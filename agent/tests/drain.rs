//! A machine is drained and put back to work over the agent's control socket.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use rackcast_agent::config::{Check, Config};
use rackcast_agent::control::{self, Machine, Request};
use rackcast_agent::daemon::{self, StartError};
use rackcast_consul::catalog::Catalog;
use rackcast_consul::client::{self, Client};
use rackcast_service::drain::{self, Order};
use rackcast_service::status::{Health, Role, ServiceStatus, Serving, serve};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const ID: &str = "test-transcode-rack-1-0";
const LIMIT: Duration = Duration::from_secs(20);

/// A machine with an agent, and a catalog.
struct Scene {
    folder: TempDir,
    consul: Client,
    config: Config,
    _catalog: DropGuard,
}

struct Agent {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), StartError>>,
}

/// A transcode node that holds to its machine's order, as the real one does.
struct Service {
    says: watch::Sender<ServiceStatus>,
    stop: CancellationToken,
    serving: Serving,
}

impl Scene {
    async fn new() -> Self {
        let catalog = Catalog::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = format!("http://{}", catalog.addr());
        let stop = CancellationToken::new();
        tokio::spawn(catalog.serve(stop.clone()));
        let folder = tempfile::tempdir().unwrap();
        let consul = client::Config {
            address,
            ..Default::default()
        };
        let config = Config {
            node: "rack-1".into(),
            service_prefix: "test".into(),
            socket_dir: folder.path().to_owned(),
            status_socket: folder.path().join("agent.sock"),
            admin: "127.0.0.1:0".parse().unwrap(),
            consul: consul.clone(),
            check: Check {
                scan_interval: Duration::from_millis(20),
                poll_interval: Duration::from_millis(50),
                ..Check::default()
            },
            ..Config::default()
        };
        Self {
            folder,
            consul: Client::new(&consul).unwrap(),
            config,
            _catalog: stop.drop_guard(),
        }
    }

    fn agent(&self) -> Agent {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(daemon::run(self.config.clone(), None, shutdown.clone()));
        Agent { shutdown, task }
    }

    fn control(&self) -> PathBuf {
        self.config.control_path()
    }

    async fn machine(&self) -> Option<Machine> {
        control::machine(&self.control()).await.ok()
    }

    async fn rackcast(&self, args: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rackcast"));
        command
            .args(args.split_whitespace())
            .env("RACKCAST_CONTROL", self.control());
        command.env_remove("SUDO_USER");
        let output = tokio::task::spawn_blocking(move || command.output());
        output.await.unwrap().unwrap()
    }

    /// Why Consul has the service in maintenance, if it has.
    async fn maintenance(&self) -> Option<String> {
        let id = format!("_service_maintenance:{ID}");
        let check = self.consul.agent_checks().await.unwrap().remove(&id);
        check.map(|check| check.notes)
    }

    async fn until_maintenance(&self, wanted: bool) -> Duration {
        let began = Instant::now();
        until("maintenance", async || {
            self.maintenance().await.is_some() == wanted
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
        let (says, heard) = watch::channel(ServiceStatus {
            ready: true,
            health: Health::passing("2 devices"),
            endpoints: [("segments".to_owned(), "127.0.0.1:7400".parse().unwrap())].into(),
            work: 3,
            ..ServiceStatus::new(Role::Transcode, "rack-1", "0", "0.1.0")
        });
        let stop = CancellationToken::new();
        let orders = drain::follow(drain::file_beside(socket), stop.clone());
        let serving = serve(socket, drain::shown(heard, orders), stop.clone()).unwrap();
        Self {
            says,
            stop,
            serving,
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_holds_over_restarts_until_it_is_resumed() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let socket = scene.folder.path().join("transcode.sock");
    let service = Service::start(&socket);
    until("registration", async || {
        scene
            .machine()
            .await
            .is_some_and(|m| m.services.iter().any(|s| s.registered))
    })
    .await;
    assert_eq!(scene.maintenance().await, None);

    let output = scene
        .rackcast("drain --reason new-disks --deadline 1h")
        .await;
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    let me = nix::unistd::User::from_uid(nix::unistd::getuid())
        .unwrap()
        .unwrap()
        .name;
    assert!(said.starts_with("draining since "), "{said}");
    assert!(said.contains(&format!(" by {me}, until ")), "{said}");
    assert!(said.ends_with(": new-disks\n"), "{said}");
    let took = scene.until_maintenance(true).await;
    // Milliseconds, were the machine free; the diff that would mend it otherwise comes every 30 s.
    assert!(took < Duration::from_secs(5), "{took:?}");
    let told = format!("rackcast: {}", said.trim_end());
    assert_eq!(scene.maintenance().await, Some(told));
    until("the service to hear of it", async || {
        let machine = scene.machine().await.unwrap();
        machine.services[0].status.draining
    })
    .await;
    let screen = scene.rackcast("status").await;
    let screen = text(&screen.stdout);
    assert!(screen.contains(said.trim_end()), "{screen}");
    assert!(screen.contains("draining      3"), "{screen}");

    // Waiting ends when the work does, or the patience.
    let output = scene
        .rackcast("drain --reason new-disks --wait 300ms")
        .await;
    assert_eq!(output.status.code(), Some(1));
    let why = text(&output.stderr);
    assert!(why.contains(&format!("still there: {ID} has 3")), "{why}");
    service.says.send_modify(|status| status.work = 0);
    let output = scene.rackcast("drain --reason new-disks --wait").await;
    assert!(output.status.success(), "{output:?}");

    // The agent starts anew, and a service with it, on an empty /run.
    let order = scene.machine().await.unwrap().order;
    agent.stop().await;
    service.end().await;
    std::fs::remove_file(scene.folder.path().join(drain::FILE)).unwrap();
    let agent = scene.agent();
    until("the order", async || {
        scene
            .machine()
            .await
            .is_some_and(|machine| machine.order == order)
            && drain::file_beside(&socket).exists()
    })
    .await;
    let service = Service::start(&socket);
    assert!(
        drain::follow(drain::file_beside(&socket), service.stop.clone())
            .borrow()
            .is_drain()
    );
    scene.until_maintenance(true).await;

    let output = scene.rackcast("resume --json").await;
    let order: Order = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!order.is_drain() && order.by == me);
    scene.until_maintenance(false).await;
    until("the service to hear of it", async || {
        let machine = scene.machine().await.unwrap();
        machine.services[0].status.ready
    })
    .await;
    assert!(text(&scene.rackcast("status").await.stdout).contains(": at work\n"));
    agent.stop().await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said() {
    let scene = Scene::new().await;
    let output = scene.rackcast("drain").await;
    assert_eq!(output.status.code(), Some(2));
    let why = text(&output.stderr);
    assert!(why.contains("does rackcast-agent run"), "{why}");

    let agent = scene.agent();
    until("the agent", async || scene.machine().await.is_some()).await;
    let endless = Request {
        deadline_s: Some(u64::MAX),
        ..Request::default()
    };
    let error = control::drain(&scene.control(), &endless)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("deadline_s"), "{error}");
    // A name that sudo never said is not believed of other users, and is one line of root's.
    let claims = Request {
        sudo_user: Some("mallory\nroot".to_owned()),
        ..Request::default()
    };
    let order = control::drain(&scene.control(), &claims).await.unwrap();
    assert!(!order.by.contains('\n'), "{order:?}");
    assert_eq!(
        order.by.starts_with("mallory"),
        nix::unistd::getuid().is_root()
    );
    // An order that came through Consul from a machine whose clock is ahead.
    let state = scene.config.state_folder().join(drain::FILE);
    agent.stop().await;
    let ahead = SystemTime::now() + Duration::from_secs(3_600);
    drain::write(&state, &Order::new("kv", None, ahead)).unwrap();
    let agent = scene.agent();
    until("the agent", async || scene.machine().await.is_some()).await;
    let output = scene.rackcast("drain").await;
    assert_eq!(output.status.code(), Some(1));
    let why = text(&output.stderr);
    assert!(why.contains("is a clock wrong?"), "{why}");
    agent.stop().await;
}
