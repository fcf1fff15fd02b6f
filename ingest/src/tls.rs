//! The certificates of an ingest, read once and kept fresh.

use std::sync::Arc;

use prometheus::Registry;
use rackcast_service::tls::{Credentials, Dialler, Door, FileError, Metrics, Protocol, Use};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::dispatch::Security;

/// Why there is no TLS. None of it mends itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Certificates cannot be used.
    #[error("[{0}] {1}")]
    Certificates(&'static str, FileError),
    /// Two metrics have one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// TLS itself cannot be used: a defect.
    #[error("TLS: {0}")]
    Tls(#[from] rackcast_service::tls::Error),
}

/// What secures this ingest's connections.
#[derive(Debug)]
pub struct Tls {
    /// Those to the nodes.
    pub nodes: Security,
    /// What players over TLS come in by.
    pub https: Option<Arc<Door>>,
    /// What publishers over TLS come in by.
    pub rtmps: Option<Arc<Door>>,
    /// What is counted of all of them.
    pub metrics: Metrics,
    credentials: Vec<Arc<Credentials>>,
}

impl Tls {
    /// Reads all certificates that the configuration names. Blocks while it does.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(config: &Config, registry: &Registry) -> Result<Self, Error> {
        let metrics = Metrics::register(registry)?;
        let mut credentials = Vec::new();
        let mut nodes = Security::none();
        if config.tls.nodes.is_set() {
            let files = config.tls.nodes.files(crate::config::nodes_use(config));
            let own = Credentials::load("nodes", files, metrics.clone())
                .map_err(|e| Error::Certificates("tls.nodes", e))?;
            let dialler = Dialler::new("nodes", Arc::clone(&own), metrics.clone());
            nodes = Security::tls(dialler, config.tls.cleartext_nodes);
            credentials.push(own);
        }
        let (mut https, mut rtmps) = (None, None);
        let public = &config.tls.public;
        if public.is_set() {
            let own = Credentials::load("public", public.files(Use::Public), metrics.clone())
                .map_err(|e| Error::Certificates("tls.public", e))?;
            let door = |name, protocol| {
                let (own, metrics) = (Arc::clone(&own), metrics.clone());
                Door::public(name, own, protocol, public, metrics).map(Arc::new)
            };
            https = Some(door("https", Protocol::Http)?);
            rtmps = Some(door("rtmps", Protocol::Rtmp)?);
            credentials.push(own);
        }
        Ok(Self {
            nodes,
            https,
            rtmps,
            metrics,
            credentials,
        })
    }

    /// Looks now and then whether certificates were replaced, until `shutdown`.
    pub fn watch(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        for credentials in &self.credentials {
            tasks.spawn(Arc::clone(credentials).watch(shutdown.clone()));
        }
    }
}
