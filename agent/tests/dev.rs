//! `rackcast dev` as a process among processes. The daemons are played by shell scripts, which
//! never get ready: a whole rack is the subject of the end-to-end tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rackcast_service::process::{Child, Command, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const LIMIT: Duration = Duration::from_secs(20);
const DAEMONS: [&str; 3] = ["rackcast-agent", "rackcast-ingest", "rackcast-transcode"];
/// Says who it is and lives until SIGTERM, of which it tells too.
const SCRIPT: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\"
trap 'echo \"$(basename \"$0\")\" >> ended; exit 0' TERM
echo $$ >> started
while :; do sleep 0.05; done
";

/// Copies a program by a process of its own. Where this one wrote it, what another thread starts just then
/// would hold it open for writing for a moment, and it could not be run (`ETXTBSY`).
fn copy(from: &Path, to: &Path) {
    let mut cp = std::process::Command::new("cp");
    assert!(cp.arg(from).arg(to).status().unwrap().success());
}

/// A folder with the command and something beside it that passes for the daemons.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        let command = scene.path("rackcast");
        // Where a link cannot be made (another file system), a copy serves as well.
        fs::hard_link(env!("CARGO_BIN_EXE_rackcast"), &command)
            .unwrap_or_else(|_| copy(Path::new(env!("CARGO_BIN_EXE_rackcast")), &command));
        DAEMONS.iter().for_each(|name| scene.script(name, SCRIPT));
        fs::create_dir(scene.path("tmp")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let beside = self.path("text");
        fs::write(&beside, text).unwrap();
        copy(&beside, &self.path(name));
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    fn dev(&self, args: &str) -> Child {
        Command::new(self.path("rackcast"))
            .args([
                "dev",
                "--no-publisher",
                "--rtmp",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
            ])
            .args(args.split_whitespace())
            .env("TMPDIR", self.path("tmp"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end, which must be a failure; what it said.
    async fn fails(&self, args: &str) -> String {
        let mut dev = self.dev(args);
        let mut text = String::new();
        dev.take_stderr()
            .unwrap()
            .read_to_string(&mut text)
            .await
            .unwrap();
        assert_eq!(dev.wait().await.unwrap().code(), Some(1), "{text}");
        text
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn temporary(&self) -> usize {
        fs::read_dir(self.path("tmp")).unwrap().count()
    }
}

fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn children_end_in_order_and_nothing_is_left_behind() {
    let scene = Scene::new();
    let mut dev = scene.dev("--transcoders 2");
    until("the children", || scene.lines("started").len() == 4).await;
    assert_eq!(scene.temporary(), 1);
    assert!(dev.stop(LIMIT).await.unwrap().success());
    let ended = scene.lines("ended");
    let order = [
        "rackcast-ingest",
        "rackcast-transcode",
        "rackcast-transcode",
        "rackcast-agent",
    ];
    assert_eq!(ended, order);
    assert!(!scene.lines("started").iter().any(|pid| runs(pid)));
    assert_eq!(scene.temporary(), 0);
}

#[tokio::test]
async fn kill_9_takes_the_children_along_and_the_next_run_tidies_up() {
    let scene = Scene::new();
    let mut dev = scene.dev("--transcoders 2");
    until("the children", || scene.lines("started").len() == 4).await;
    dev.signal(Signal::SIGKILL).unwrap();
    dev.wait().await.unwrap();
    until("their death", || {
        !scene.lines("started").iter().any(|pid| runs(pid))
    })
    .await;
    assert_eq!(scene.temporary(), 1);

    let mut dev = scene.dev("--transcoders 1");
    until("new children", || scene.lines("started").len() == 7).await;
    assert_eq!(scene.temporary(), 1, "the folder of this run and no other");
    dev.stop(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_child_that_ends_while_it_starts_ends_the_run() {
    let scene = Scene::new();
    scene.script(
        "rackcast-ingest",
        "#!/bin/sh\necho 'key x is unknown' >&2\nexit 78\n",
    );
    let text = scene.fails("--transcoders 1").await;
    assert!(text.contains("ingest: key x is unknown"), "{text}");
    assert!(text.contains("exit status: 78 while it started"), "{text}");
    assert!(!scene.lines("started").iter().any(|pid| runs(pid)));
}

#[tokio::test]
async fn what_is_missing_or_taken_is_said() {
    let scene = Scene::new();
    fs::remove_file(scene.path("rackcast-transcode")).unwrap();
    let text = scene.fails("").await;
    assert!(text.contains("rackcast-transcode is not in"), "{text}");

    let scene = Scene::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    for args in [
        &format!("--catalog-only --consul {taken}"),
        "--consul 127.0.0.1:8500",
    ] {
        let text = scene.fails(args).await;
        assert!(text.contains("--consul"), "{text}");
    }
    assert!(scene.lines("started").is_empty());
}

#[tokio::test]
async fn a_taken_port_is_said_before_anything_starts() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut dev = Command::new(scene.path("rackcast"))
        .args([
            "dev",
            "--no-publisher",
            "--http",
            "127.0.0.1:0",
            "--rtmp",
            &address,
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    dev.take_stderr()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert!(
        text.contains(&format!("--rtmp {address} cannot be used")),
        "{text}"
    );
    assert!(scene.lines("started").is_empty());
}

#[tokio::test]
async fn without_ffmpeg_it_says_what_to_do() {
    let scene = Scene::new();
    let mut dev = Command::new(scene.path("rackcast"))
        .args(["dev", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .env("PATH", scene.path("tmp"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    dev.take_stderr()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert!(
        text.contains("ffmpeg is not in the path") && text.contains("--no-publisher"),
        "{text}"
    );
}

#[tokio::test]
async fn the_catalog_runs_alone() {
    let scene = Scene::new();
    let mut dev = scene.dev("--catalog-only --consul 127.0.0.1:0");
    let mut lines = BufReader::new(dev.take_stdout().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = said["consul"].as_str().unwrap().to_owned();
    let config = rackcast_consul::client::Config {
        address,
        ..Default::default()
    };
    let consul = rackcast_consul::client::Client::new(&config).unwrap();
    assert!(consul.agent_services().await.unwrap().is_empty());
    assert!(dev.stop(LIMIT).await.unwrap().success());
    assert!(scene.lines("started").is_empty());
}
