//! The configuration of `rackcast-ingest`: one TOML file, read and checked before anything is
//! bound. Every module owns its own table.

mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use rackcast_route::RouterConfig;
use rackcast_service::status::Role;
use serde::Deserialize;

pub use tls::Tls;
pub(crate) use tls::nodes_use;

/// The whole file. Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This machine's name in the catalog and in logs; empty for the host name.
    pub node: String,
    /// Tells several ingests of one machine apart.
    pub instance: String,
    /// The zone that this machine stands in.
    pub zone: String,
    /// Least level of log lines: error, warn, info, debug or trace.
    pub log_level: log::LevelFilter,
    /// What must survive a restart: epochs, the last catalog.
    pub state_dir: PathBuf,
    /// Unix socket at which this service tells the agent about itself.
    pub status_socket: PathBuf,
    /// Addresses.
    pub listen: Listen,
    /// RTMP publishers.
    pub rtmp: crate::rtmp::Config,
    /// HLS over HTTP.
    pub http: crate::generation::http::Config,
    /// TLS to the nodes, and for players and publishers.
    pub tls: Tls,
    /// Who may publish.
    pub auth: crate::auth::Config,
    /// What is decided once a stream.
    pub stream: crate::stream::Config,
    /// Where streams are cut.
    pub segmenter: crate::segmenter::Config,
    /// What is kept and how it is served.
    pub origin: crate::origin::Config,
    /// What is fetched from other processes.
    pub relay: crate::relay::Config,
    /// How other ingests find the streams of this one, and it theirs.
    pub directory: crate::directory::Config,
    /// How segments are sent out.
    pub dispatch: crate::dispatch::Config,
    /// How one node is preferred to another.
    pub route: rackcast_route::table::Config,
    /// What is left out when the nodes cannot carry all.
    pub degrade: rackcast_route::degrade::Config,
    /// How nodes are found and probed.
    pub discovery: crate::discovery::Config,
    /// How much is remembered of what was decided.
    pub explain: crate::explain::Config,
    /// What the services are called in the catalog: `PREFIX-transcode`.
    pub service_prefix: String,
    /// Consul datacenters that transcode nodes are taken from; none for the Consul agent's own.
    pub datacenters: Vec<String>,
    /// The Consul agent.
    pub consul: rackcast_consul::client::Config,
    /// Start, restart and stop of the generation.
    pub supervisor: crate::supervisor::Config,
}

/// `[listen]`: port 0 takes a free one, which the status socket and the log name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// RTMP.
    pub rtmp: SocketAddr,
    /// HLS.
    pub http: SocketAddr,
    /// RTMP over TLS, with the certificate of `[tls.public]`; off unless set.
    pub rtmps: Option<SocketAddr>,
    /// HLS over TLS, with the certificate of `[tls.public]`; off unless set.
    pub https: Option<SocketAddr>,
    /// `/metrics`, `/healthz`, `/readyz`, and why segments went where they went.
    pub admin: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let at = |ip: [u8; 4], port| SocketAddr::from((ip, port));
        Self {
            rtmp: at([0; 4], 1935),
            http: at([0; 4], 8080),
            rtmps: None,
            https: None,
            admin: at([127, 0, 0, 1], 9611),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: String::new(),
            instance: "1".to_owned(),
            zone: String::new(),
            log_level: log::LevelFilter::Info,
            state_dir: PathBuf::from("/var/lib/rackcast/ingest"),
            status_socket: PathBuf::from("/run/rackcast/ingest.sock"),
            listen: Listen::default(),
            rtmp: Default::default(),
            http: Default::default(),
            tls: Default::default(),
            auth: Default::default(),
            stream: Default::default(),
            segmenter: Default::default(),
            origin: Default::default(),
            relay: Default::default(),
            directory: Default::default(),
            dispatch: Default::default(),
            route: Default::default(),
            degrade: Default::default(),
            discovery: Default::default(),
            explain: Default::default(),
            service_prefix: "rackcast".to_owned(),
            datacenters: Vec::new(),
            consul: Default::default(),
            supervisor: Default::default(),
        }
    }
}

impl Config {
    /// This machine's name in the catalog and in logs.
    pub fn node_name(&self) -> String {
        if self.node.is_empty() {
            rackcast_service::host::name()
        } else {
            self.node.clone()
        }
    }

    /// What this ingest is called in the catalog: the same after every restart, so that its
    /// share of a large fleet is.
    pub fn identity(&self) -> String {
        let (role, node) = (Role::Ingest, self.node_name());
        format!("{}-{role}-{node}-{}", self.service_prefix, self.instance)
    }

    /// The whole policy of routing, from all the tables that it stands in.
    pub fn router(&self) -> RouterConfig {
        let dispatch = &self.dispatch;
        RouterConfig {
            route: self.route.clone(),
            attempts: dispatch.attempts,
            hedge: dispatch.hedge,
            precious: (&dispatch.precious).into(),
            retries: dispatch.retries,
            refusals: dispatch.refusals,
            circuit: dispatch.circuit,
            degrade: self.degrade.clone(),
        }
    }

    /// Refuses values that cannot work, each with what would.
    ///
    /// # Errors
    /// The first that was found.
    pub fn check(&self) -> Result<(), String> {
        self.stream.check()?;
        self.segmenter.check()?;
        self.origin.check()?;
        self.relay.check()?;
        self.directory.check()?;
        self.dispatch.check()?;
        self.router().check()?;
        self.discovery.check()?;
        self.explain.check()?;
        self.rtmp.check()?;
        self.http.check()?;
        self.auth.check()?;
        self.supervisor.check()?;
        self.tls.check(self)?;
        self.consul.check()
    }
}
