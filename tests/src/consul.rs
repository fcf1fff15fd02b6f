//! The real Consul, for as long as a test needs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::dev::free_address;
use crate::http::Http;
use crate::process::Process;
use crate::wait::wait_for;

/// A Consul server in development mode, on loopback, with nothing on disk.
#[derive(Debug)]
pub struct Consul {
    /// Base address of its HTTP API.
    pub url: String,
    http: Http,
    _process: Process,
}

impl Consul {
    /// Starts it: the program that `CONSUL_BIN` names, or the one that tools/install-consul
    /// brings.
    ///
    /// # Panics
    /// It has no leader within 30 s.
    pub async fn start() -> Self {
        let port = || free_address().rsplit_once(':').unwrap().1.to_owned();
        let mut command = Command::new(binary());
        command.args([
            "agent",
            "-dev",
            "-bind",
            "127.0.0.1",
            "-client",
            "127.0.0.1",
        ]);
        command.args([
            "-dns-port",
            "-1",
            "-grpc-port",
            "-1",
            "-serf-wan-port",
            "-1",
        ]);
        let http_port = port();
        command.args(["-http-port", &http_port, "-server-port", &port()]);
        command.args(["-serf-lan-port", &port(), "-log-level", "warn"]);
        let mut process = Process::start(&mut command);
        let (url, http) = (format!("http://127.0.0.1:{http_port}"), Http::default());
        wait_for("consul to have a leader", Duration::from_secs(30), || {
            assert!(process.ended().is_none(), "consul ended");
            let (http, url) = (&http, format!("{url}/v1/status/leader"));
            async move {
                let answer = http.get(&url).await.ok()?;
                (answer.status == 200 && answer.body.len() > 2).then_some(())
            }
        })
        .await;
        Self {
            url,
            http,
            _process: process,
        }
    }

    /// What a path of its API answers.
    ///
    /// # Panics
    /// No JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(&format!("{}{path}", self.url)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Names of the registered services, without Consul itself.
    pub async fn services(&self) -> Vec<String> {
        let services = self.get("/v1/catalog/services").await;
        let names = services.as_object().unwrap().keys();
        names.filter(|n| *n != "consul").cloned().collect()
    }

    /// How many instances of a service pass all their checks.
    pub async fn passing(&self, service: &str) -> usize {
        let path = format!("/v1/health/service/{service}?passing");
        self.get(&path).await.as_array().unwrap().len()
    }
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CONSUL_BIN") {
        return path.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/install-consul");
    let output = Command::new(script)
        .output()
        .expect("tools/install-consul runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().into()
}
