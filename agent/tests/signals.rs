//! The agent as a process: SIGHUP reloads its file or keeps the one before, SIGUSR2 ends it.

#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rackcast_service::process::Command;
use rackcast_service::status;

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `probe` has an answer.
async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn metrics(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn until_metric(admin: SocketAddr, line: &str) {
    until(line, async || {
        metrics(admin).lines().any(|l| l == line).then_some(())
    })
    .await;
}

/// A configuration that keeps to this folder, and finds no Consul.
fn write(file: &Path, folder: &Path, more: &str) {
    let text = format!(
        "{more}\nadmin = '127.0.0.1:0'\nsocket_dir = {folder:?}\nstate_dir = {folder:?}\n\
         status_socket = {:?}\n[consul]\naddress = 'http://127.0.0.1:1'\n",
        folder.join("agent.sock")
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_and_sigusr2_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    write(&file, folder.path(), "");
    let mut agent = Command::new(env!("CARGO_BIN_EXE_rackcast-agent"))
        .arg("--config")
        .arg(&file)
        .spawn()
        .unwrap();
    let socket = folder.path().join("agent.sock");
    let status = until("the agent runs", async || status::fetch(&socket).await.ok()).await;
    let admin = status.endpoints["admin"];

    write(&file, folder.path(), "log_level = 'loud'");
    agent.signal(Signal::SIGHUP).unwrap();
    until_metric(admin, "rackcast_config_last_reload_successful 0").await;
    until_metric(admin, "rackcast_config_reload_failures_total 1").await;

    write(
        &file,
        folder.path(),
        "log_level = 'warn'\nzone = 'elsewhere'",
    );
    agent.signal(Signal::SIGHUP).unwrap();
    until_metric(admin, "rackcast_config_last_reload_successful 1").await;
    until_metric(admin, "rackcast_config_reload_failures_total 1").await;

    agent.signal(Signal::SIGUSR2).unwrap();
    let ended = tokio::time::timeout(LIMIT, agent.wait()).await.unwrap();
    assert!(ended.unwrap().success(), "it ends of its own accord");
}
