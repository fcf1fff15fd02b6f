//! A whole Consul datacenter under default-deny ACLs: a server and client agents, each on a
//! [machine](crate::netns) of its own, where its Rackcast services run too.
//!
//! Machine 1 is the server. Tokens have the shipped policies, installed as an operator would:
//! by `rackcast consul install`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::consul::binary;
use crate::netns::{Network, address};
use crate::process::{Process, kill9, program};
use crate::wait::wait_for;

/// The token that may do anything.
pub const ROOT: &str = "11111111-2222-4333-8444-555555555555";
/// What Consul's own agents use for their node.
const NODES: &str = "22222222-2222-4333-8444-555555555555";
/// How long a member keeps what it knows of a token, revoked ones included; 30 s is the default.
const TOKEN_TTL: &str = "1s";
const START: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_secs(10);
/// Roles that have a policy of their own.
const ROLES: [&str; 5] = ["agent", "ingest", "transcode", "operator", "dns"];

/// A datacenter at work.
#[derive(Debug)]
pub struct Datacenter {
    // Dropped in this order: members end while they still have a network.
    members: Vec<Option<Process>>,
    /// Its machines.
    pub network: Network,
    dir: TempDir,
}

/// What Consul answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Datacenter {
    /// Starts a server and two or more clients, with the shipped policies and a token for each.
    ///
    /// # Panics
    /// It does not come up within a minute.
    pub async fn start(clients: u8) -> Self {
        let machines = clients + 1;
        let mut this = Self {
            network: Network::start(machines),
            members: (0..machines).map(|_| None).collect(),
            dir: tempfile::tempdir().unwrap(),
        };
        for machine in 1..=machines {
            std::fs::create_dir(this.home(machine)).unwrap();
            this.boot(machine);
        }
        wait_for("the servers' ACLs", START, || async {
            let reply = this.root(1, Method::GET, "/v1/acl/policies", "").await?;
            (reply.status == 200).then_some(())
        })
        .await;
        this.install_policies().await;
        wait_for("all members in the catalog", START, || async {
            let reply = this
                .root(machines, Method::GET, "/v1/health/state/passing", "")
                .await?;
            let serf = |check: &&Value| check["CheckID"] == "serfHealth";
            let alive = reply.json().as_array()?.iter().filter(serf).count();
            (alive == usize::from(machines)).then_some(())
        })
        .await;
        this
    }

    /// The folder of a machine: its Consul's data, sockets, configurations and tokens.
    pub fn home(&self, machine: u8) -> PathBuf {
        self.dir.path().join(format!("m{machine}"))
    }

    /// The unix socket at which a machine's Consul can be asked from anywhere.
    pub fn socket(&self, machine: u8) -> PathBuf {
        self.home(machine).join("consul.sock")
    }

    /// A machine's file with the token of a role, for a daemon's `token_file`.
    pub fn token_file(&self, machine: u8, role: &str) -> PathBuf {
        let file = self.home(machine).join(format!("{role}.token"));
        if !file.exists() {
            std::fs::write(&file, token(role)).unwrap();
        }
        file
    }

    /// Starts a machine's Consul, again or for the first time, with the data that it has.
    pub fn boot(&mut self, machine: u8) {
        let home = self.home(machine);
        let role = if machine == 1 { "server" } else { "client" };
        let tokens = match role {
            "server" => json!({ "master": ROOT, "agent": ROOT, "default": token("dns") }),
            _ => json!({ "agent": NODES, "default": token("dns") }),
        };
        let http = format!("127.0.0.1 unix://{}", self.socket(machine).display());
        let config = json!({
            "node_name": format!("m{machine}"),
            // Where it would be made of the machine, as is usual, all of them were one.
            "node_id": format!("{machine:08}-2222-4333-8444-555555555555"),
            "server": role == "server",
            "bootstrap_expect": if role == "server" { json!(1) } else { json!(null) },
            "bind_addr": address(machine).to_string(),
            "addresses": { "http": http },
            "data_dir": home.join("data"),
            "retry_join": [address(1).to_string()],
            "retry_interval": "1s",
            "disable_update_check": true,
            "leave_on_terminate": false,
            "performance": { "raft_multiplier": 1 },
            "ports": { "grpc": -1, "serf_wan": -1 },
            "acl": {
                "enabled": true, "default_policy": "deny",
                "token_ttl": TOKEN_TTL, "tokens": tokens,
            },
        });
        let mut config = config;
        if role == "client" {
            config.as_object_mut().unwrap().remove("bootstrap_expect");
        }
        let file = home.join("consul.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = self.network.on(machine, binary());
        command
            .args(["agent", "-log-level", "info", "-config-file"])
            .arg(file);
        self.members[usize::from(machine) - 1] = Some(Process::start(&mut command));
    }

    /// `kill -9` for a machine's Consul.
    pub fn kill(&mut self, machine: u8) {
        if let Some(mut process) = self.members[usize::from(machine) - 1].take() {
            kill9(process.pid());
            process.wait(Duration::from_secs(5));
        }
    }

    /// Removes what a machine's Consul has on disk.
    pub fn wipe(&self, machine: u8) {
        std::fs::remove_dir_all(self.home(machine).join("data")).unwrap();
    }

    /// Asks a machine's Consul in the name of a token, or of nobody. `None`: it does not answer.
    pub async fn ask(
        &self,
        machine: u8,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: impl Into<String>,
    ) -> Option<Reply> {
        let body = body.into();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "consul");
        if let Some(token) = token {
            request = request.header("X-Consul-Token", token);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let socket = self.socket(machine);
        let exchange = async move {
            let stream = UnixStream::connect(socket).await.ok()?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .ok()?;
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            connection.abort();
            let text = String::from_utf8_lossy(&body).into_owned();
            Some(Reply { status, text })
        };
        tokio::time::timeout(ASK, exchange).await.ok()?
    }

    /// Asks with the token that may do anything.
    pub async fn root(&self, machine: u8, method: Method, path: &str, body: &str) -> Option<Reply> {
        self.ask(machine, Some(ROOT), method, path, body).await
    }

    /// What a path answers to the token that may do anything, as a machine's Consul sees it.
    pub async fn get(&self, machine: u8, path: &str) -> Option<Value> {
        let reply = self.root(machine, Method::GET, path, "").await?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Makes a token with a policy.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn grant(&self, secret: &str, policy: &str) {
        let body = json!({ "SecretID": secret, "Policies": [{ "Name": policy }] });
        let reply = self
            .root(1, Method::PUT, "/v1/acl/token", &body.to_string())
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// Revokes a token.
    ///
    /// # Panics
    /// There is no such token.
    pub async fn revoke(&self, secret: &str) {
        let own = self
            .ask(1, Some(secret), Method::GET, "/v1/acl/token/self", "")
            .await
            .unwrap();
        let accessor = own.json()["AccessorID"].as_str().unwrap().to_owned();
        let path = format!("/v1/acl/token/{accessor}");
        let reply = self.root(1, Method::DELETE, &path, "").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// `rackcast`, as an operator on a machine runs it.
    pub fn rackcast(&self, machine: u8, role: &str) -> Command {
        let mut command = self.network.on(machine, program("rackcast"));
        command.env("CONSUL_HTTP_ADDR", "http://127.0.0.1:8500");
        command.env("CONSUL_HTTP_TOKEN_FILE", self.token_file(machine, role));
        command
    }

    /// A `[consul]` table for a daemon of a role on a machine.
    pub fn consul_table(&self, machine: u8, role: &str) -> String {
        let token_file = self.token_file(machine, role);
        format!("[consul]\naddress = \"http://127.0.0.1:8500\"\ntoken_file = {token_file:?}\n")
    }

    async fn install_policies(&self) {
        std::fs::write(self.home(1).join("root.token"), ROOT).unwrap();
        let output = self
            .rackcast(1, "root")
            .args(["consul", "install"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rackcast consul install: {said}");
        let nodes = json!({
            "Name": "nodes",
            "Rules": "node_prefix \"\" { policy = \"write\" } service_prefix \"\" { policy = \"read\" }",
        });
        let reply = self
            .root(1, Method::PUT, "/v1/acl/policy", &nodes.to_string())
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        self.grant(NODES, "nodes").await;
        for role in ROLES {
            self.grant(&token(role), &format!("rackcast-{role}")).await;
        }
    }
}

/// The first token of a role.
pub fn token(role: &str) -> String {
    let number = role
        .bytes()
        .fold(0_u32, |sum, b| sum * 31 % 99_999_989 + u32::from(b));
    format!("{number:08}-3333-4333-8444-555555555555")
}

/// Everything below a folder that a daemon may need, for the tests' own use.
pub fn folder(home: &Path, name: &str) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
