//! The real Consul, for as long as a test needs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::dev::free_address;
use crate::http::Http;
use crate::pki::Files;
use crate::process::{Process, kill9};
use crate::wait::wait_for;

/// A Consul server in development mode, on loopback, with nothing on disk.
#[derive(Debug)]
pub struct Consul {
    /// Base address of its HTTP API.
    pub url: String,
    /// The same over TLS, if it was started with it.
    pub https: String,
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
        Self::start_with(|_| Vec::new()).await
    }

    /// Starts it with TLS besides: its certificate is for `server.dc1.consul` or whatever the
    /// files say, and it asks callers for one of the same authority.
    ///
    /// # Panics
    /// It has no leader within 30 s.
    pub async fn start_tls(files: &Files) -> Self {
        Self::start_with(|port| {
            let (certificate, key, ca) = (files.certificate(), files.key(), files.authorities());
            vec![
                format!("ports {{ https = {port} }}"),
                "verify_incoming_https = true".to_owned(),
                format!("cert_file = {certificate:?}"),
                format!("key_file = {key:?}"),
                format!("ca_file = {ca:?}"),
            ]
        })
        .await
    }

    async fn start_with(settings: impl FnOnce(&str) -> Vec<String>) -> Self {
        let port = || free_address().rsplit_once(':').unwrap().1.to_owned();
        let mut command = Self::command("127.0.0.1");
        command.args(["-dns-port", "-1"]);
        let http_port = port();
        command.args(["-http-port", &http_port, "-server-port", &port()]);
        command.args(["-serf-lan-port", &port()]);
        let https_port = port();
        for setting in settings(&https_port) {
            command.args(["-hcl", &setting]);
        }
        let mut this = Self::launch(command, format!("http://127.0.0.1:{http_port}")).await;
        this.https = format!("https://127.0.0.1:{https_port}");
        this
    }

    /// Starts it at an address that others reach, with Consul's usual ports: a server for their
    /// client agents.
    ///
    /// # Panics
    /// It has no leader within 30 s.
    pub async fn serve(address: &str) -> Self {
        let url = format!("http://{address}:{HTTP}");
        Self::launch(Self::command(address), url).await
    }

    fn command(address: &str) -> Command {
        let mut command = Command::new(binary());
        command.args(["agent", "-dev", "-bind", address, "-client", address]);
        command.args(["-grpc-port", "-1", "-serf-wan-port", "-1"]);
        command.args(["-log-level", "warn"]);
        command
    }

    async fn launch(mut command: Command, url: String) -> Self {
        let mut process = Process::start(&mut command);
        let http = Http::default();
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
            https: String::new(),
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

/// Servers and a client agent, each a process with an address of its own, as in a rack.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Member>,
    client: Member,
    http: Http,
}

/// A process of a cluster. Its data outlive it.
#[derive(Debug)]
struct Member {
    name: String,
    address: Ipv4Addr,
    options: Vec<String>,
    process: Option<Process>,
    data: TempDir,
}

impl Cluster {
    /// Starts it, with so many servers.
    ///
    /// # Panics
    /// The client agent knows no leader within 60 s.
    pub async fn start(servers: u8) -> Self {
        let net = network();
        let first = at(net, 1).to_string();
        let server = |n| {
            let expect = format!("-bootstrap-expect={servers}");
            let options = ["-server", &expect, "-retry-join", &first].map(str::to_owned);
            Member::new(format!("server-{n}"), at(net, n), options.into())
        };
        let options = ["-retry-join", &first].map(str::to_owned);
        let mut cluster = Self {
            servers: (1..=servers).map(server).collect(),
            client: Member::new("client".to_owned(), at(net, 100), options.into()),
            http: Http::default(),
        };
        cluster.start_servers();
        cluster.client.start();
        cluster.has_leader().await;
        cluster
    }

    /// Address of the client agent's API.
    pub fn agent(&self) -> SocketAddr {
        SocketAddr::new(self.client.address.into(), HTTP)
    }

    /// `kill -9` for all servers.
    pub fn kill_servers(&mut self) {
        for server in &mut self.servers {
            if let Some(process) = &mut server.process {
                kill9(process.pid());
                process.wait(Duration::from_secs(5));
            }
            server.process = None;
        }
    }

    /// Starts all servers, again or for the first time, on the data that they have.
    pub fn start_servers(&mut self) {
        self.servers.iter_mut().for_each(Member::start);
    }

    /// Waits until the client agent knows a leader.
    ///
    /// # Panics
    /// It takes longer than a minute.
    pub async fn has_leader(&self) {
        wait_for(
            "consul to have a leader",
            Duration::from_secs(60),
            || async {
                // Unlike `status/leader`, this is answered by the leader alone.
                let answer = self.get("/v1/catalog/nodes").await?;
                (answer.as_array()?.len() > self.servers.len()).then_some(())
            },
        )
        .await;
    }

    /// What a path of the client agent's API answers, if it does.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}{path}", self.agent());
        let answer = self.http.get(&url).await.ok()?;
        (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok())?
    }

    /// How many instances of a service pass all their checks, if Consul can say.
    pub async fn passing(&self, service: &str) -> Option<usize> {
        let path = format!("/v1/health/service/{service}?passing");
        Some(self.get(&path).await?.as_array()?.len())
    }
}

impl Member {
    fn new(name: String, address: Ipv4Addr, options: Vec<String>) -> Self {
        Self {
            name,
            address,
            options,
            process: None,
            data: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&mut self) {
        let address = self.address.to_string();
        let mut command = Command::new(binary());
        command.args(["agent", "-node", &self.name, "-bind", &address]);
        command.args(["-client", &address, "-log-level", "warn", "-data-dir"]);
        command.arg(self.data.path()).args(&self.options);
        // A machine that is busy with tests must not elect all the time, nor wait for long.
        command.args(["-hcl", "disable_update_check = true"]);
        command.args(["-hcl", "performance { raft_multiplier = 2 }"]);
        command.args(["-hcl", "ports { dns = -1  grpc = -1  serf_wan = -1 }"]);
        command.args(["-retry-interval", "1s"]);
        self.process = Some(Process::start(&mut command));
    }
}

/// Consul's usual port.
const HTTP: u16 = 8500;

/// A part of loopback that is this process's own, so that every member has the usual ports.
fn network() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), low, 0)
}

fn at(network: Ipv4Addr, host: u8) -> Ipv4Addr {
    let [a, b, c, _] = network.octets();
    Ipv4Addr::new(a, b, c, host)
}

pub(crate) fn binary() -> PathBuf {
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
