//! What starts a node as systemd does, and hears what it says.

use std::path::PathBuf;
use std::time::Duration;

use rackcast_service::process::{Child, Command};
use tokio::net::UnixDatagram;

/// A node that is not started yet.
pub(crate) struct Systemd {
    /// Its status socket.
    pub(crate) socket: PathBuf,
    file: PathBuf,
    dir: tempfile::TempDir,
}

impl Systemd {
    /// With this configuration beside its addresses.
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file) = (dir.path().join("status.sock"), dir.path().join("t.toml"));
        let listen = "[listen]\nsegments = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
        let text = format!("status_socket = {socket:?}\n{config}\n{listen}");
        std::fs::write(&file, text).unwrap();
        Self { socket, file, dir }
    }

    /// Starts it, and hears what it says until it says that it has started: that last.
    pub(crate) async fn start(&self) -> (Child, Vec<String>) {
        let ear = tempfile::tempdir_in(&self.dir).unwrap();
        let at = ear.path().join("notify");
        let ear = UnixDatagram::bind(&at).unwrap();
        let node = Command::new(env!("CARGO_BIN_EXE_rackcast-transcode"))
            .arg("--config")
            .arg(&self.file)
            .env("NOTIFY_SOCKET", &at)
            .spawn()
            .unwrap();
        let mut heard = Vec::new();
        let started = async {
            let mut said = [0; 4096];
            while !heard.iter().any(|line| line == "READY=1") {
                let length = ear.recv(&mut said).await.unwrap();
                let said = String::from_utf8_lossy(&said[..length]);
                heard.extend(said.lines().map(str::to_owned));
            }
        };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, started).await.unwrap();
        (node, heard)
    }
}
