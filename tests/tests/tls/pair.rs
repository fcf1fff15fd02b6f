//! A door and a dialler that meet over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rackcast_service::status::Role;
use rackcast_service::tls::{
    ClientConfig, Credentials, Dialler, Door, Identity, Metrics, Reason, Refusal, ServerConfig,
    Stream, Use,
};
use rackcast_tests::pki::{Authority, Files, member};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// The node that is called.
pub(crate) const NODE: &str = "gpu-1";
/// The ingest that calls.
pub(crate) const CALLER: &str = "edge-1";

pub(crate) fn use_of(identity: &Identity) -> Use {
    Use::Member {
        role: identity.role,
        node: identity.node.clone(),
    }
}

/// A transcode node's door, and what it counts.
pub(crate) struct Server {
    pub(crate) door: Arc<Door>,
    registry: Registry,
    pub(crate) listener: TcpListener,
}

impl Server {
    pub(crate) async fn start(files: &Files, identity: &Identity) -> Self {
        Self::limited(files, identity, &files.server()).await
    }

    pub(crate) async fn limited(files: &Files, identity: &Identity, config: &ServerConfig) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let own = files.server().files(use_of(identity));
        let credentials = Credentials::load("segments", own, metrics.clone()).unwrap();
        let door =
            Door::for_members("segments", credentials, Role::Ingest, config, metrics).unwrap();
        Self {
            door: Arc::new(door),
            registry,
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    /// Answers one call; says something if it lets the caller in.
    pub(crate) async fn answer(&self) -> Result<Stream, Refusal> {
        let (socket, peer) = self.listener.accept().await.unwrap();
        let mut stream = self.door.accept(socket, peer).await?;
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        Ok(stream)
    }

    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        counted(
            &self.registry,
            "rackcast_tls_refused_total",
            reason.as_str(),
        )
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }
}

/// An ingest's dialler, and what it counts.
pub(crate) struct Client {
    pub(crate) dialler: Dialler,
    registry: Registry,
}

impl Client {
    pub(crate) fn new(config: &ClientConfig, identity: &Identity) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let files = config.files(use_of(identity));
        let credentials = Credentials::load("nodes", files, metrics.clone()).unwrap();
        Self {
            dialler: Dialler::new("nodes", credentials, metrics),
            registry,
        }
    }

    pub(crate) async fn call(&self, server: &Server, wanted: &Identity) -> Result<Stream, Refusal> {
        self.call_at(server.address(), wanted).await
    }

    pub(crate) async fn call_at(
        &self,
        node: SocketAddr,
        wanted: &Identity,
    ) -> Result<Stream, Refusal> {
        let socket = TcpStream::connect(node).await.unwrap();
        // As an ingest does it: what the kernel has taken on cannot be dropped.
        let options = socket2::SockRef::from(&socket);
        options.set_tcp_notsent_lowat(64 << 10).unwrap();
        let call = self.dialler.call_member(socket, wanted);
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, call).await.expect("no end")
    }

    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        counted(
            &self.registry,
            "rackcast_tls_refused_total",
            reason.as_str(),
        )
    }
}

/// The sum of a counter over the label sets that have this value.
pub(crate) fn counted(registry: &Registry, name: &str, label: &str) -> u64 {
    let families = registry.gather();
    let metrics = families.iter().filter(|f| f.name() == name);
    let metrics = metrics.flat_map(|f| f.get_metric());
    let has = |m: &&prometheus::proto::Metric| m.get_label().iter().any(|l| l.value() == label);
    metrics
        .filter(has)
        .map(|m| m.get_counter().get_value() as u64)
        .sum()
}

/// A sound node and a sound ingest of one authority.
pub(crate) async fn sound(authority: &Authority) -> (Server, Client) {
    let (node, caller) = (member(Role::Transcode, NODE), member(Role::Ingest, CALLER));
    let files = Files::new(&authority.member(&node), &authority.pem);
    let server = Server::start(&files, &node).await;
    let files = Files::new(&authority.member(&caller), &authority.pem);
    (server, Client::new(&files.client(), &caller))
}
