//! The real Consul as a child process, killed when dropped.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http;

/// Said when the tests on the real Consul are switched off.
const WITHOUT: &str = "RACKCAST_WITHOUT_CONSUL";

/// Whether to run on the real Consul. If not, it says so past the test harness's capture:
/// a suite that silently ran by half would be worse than none.
pub fn wanted(suite: &str) -> bool {
    let wanted = std::env::var_os(WITHOUT).is_none_or(|value| value != "1");
    if !wanted {
        let text = format!("\nNOT RUN: {suite} on the real Consul, because {WITHOUT}=1\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    wanted
}

/// `CONSUL_BIN`, or what `tools/install-consul` installs.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("CONSUL_BIN") {
            return path.into();
        }
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/install-consul");
        let output = Command::new(tool)
            .output()
            .expect("tools/install-consul does not run");
        assert!(
            output.status.success(),
            "no real Consul (set CONSUL_BIN, or {WITHOUT}=1 to leave it out): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

pub struct RealConsul {
    pub address: SocketAddr,
    pub home: TempDir,
    process: Child,
}

impl RealConsul {
    /// Starts a lone server, at `address` if one is given.
    pub async fn start(address: Option<SocketAddr>) -> Self {
        Self::start_with(address, "{}").await
    }

    /// Starts a lone server with more configuration.
    pub async fn start_with(address: Option<SocketAddr>, config: &str) -> Self {
        let mut why = String::new();
        // A free port can be taken by somebody else before Consul takes it: then again.
        for _ in 0..5 {
            match Self::try_start(address, config).await {
                Ok(consul) => return consul,
                Err(reason) => {
                    println!("the real Consul does not start, trying again: {reason}");
                    why = reason;
                }
            }
        }
        panic!("the real Consul does not start: {why}");
    }

    async fn try_start(address: Option<SocketAddr>, config: &str) -> Result<Self, String> {
        let home = TempDir::new().unwrap();
        let [http, server, serf] = free_ports();
        let address = address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], http)));
        let node = format!("test-{}-{server}", std::process::id());
        let config_file = home.path().join("config.json");
        std::fs::write(
            &config_file,
            config.replace("HOME", home.path().to_str().unwrap()),
        )
        .unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let process = Command::new(binary())
            .args([
                "agent",
                "-dev",
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                "-dns-port=-1",
            ])
            .args(["-grpc-port=-1", "-serf-wan-port=-1", "-log-level=warn"])
            .arg(format!("-node={node}"))
            .arg(format!("-http-port={}", address.port()))
            .arg(format!("-server-port={server}"))
            .arg(format!("-serf-lan-port={serf}"))
            .arg(format!("-config-file={}", config_file.display()))
            .current_dir(home.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the real Consul does not run");
        let mut consul = Self {
            address,
            home,
            process,
        };
        let limit = Instant::now() + Duration::from_secs(20);
        while !consul.is_ready(&node).await {
            let ended = consul.process.try_wait().unwrap();
            if ended.is_some() || Instant::now() > limit {
                let log = std::fs::read_to_string(consul.home.path().join("log")).unwrap();
                return Err(format!("{ended:?}: {log}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(consul)
    }

    /// Whether this very process answers and leads.
    async fn is_ready(&self, node: &str) -> bool {
        let get = async |path| http::send("GET", self.address, path, &[], "").await.ok();
        // Its own node in the catalog is the last thing to come. Under ACLs nothing is shown,
        // but that there is a leader is.
        let Some(leader) = get("/v1/status/leader").await else {
            return false;
        };
        let Some(nodes) = get("/v1/catalog/nodes").await else {
            return false;
        };
        leader.text().len() > 2
            && (nodes.text().contains(node) || nodes.text() == "[]" && self.has_acls())
    }

    fn has_acls(&self) -> bool {
        let config = std::fs::read_to_string(self.home.path().join("config.json"));
        config.unwrap().contains("default_policy")
    }
}

impl Drop for RealConsul {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports that are free for TCP and UDP now, all different.
fn free_ports() -> [u16; 3] {
    let hold = || loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if let Ok(udp) = UdpSocket::bind(address) {
            return (address.port(), tcp, udp);
        }
    };
    let held = [hold(), hold(), hold()];
    held.each_ref().map(|(port, ..)| *port)
}
