//! The certificates of an ingest, read once and kept fresh.

use std::sync::Arc;

use prometheus::Registry;
use rackcast_service::reload::Live;
use rackcast_service::tls::{Credentials, Dialler, Door, FileError, Files, Metrics, Protocol, Use};
use rackcast_service::vital;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, nodes_use};
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
    credentials: Vec<Held>,
}

/// Certificates, and where the configuration names their files.
#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
    table: &'static str,
    named: fn(&Config) -> Files,
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
            let named = |config: &Config| config.tls.nodes.files(nodes_use(config));
            let held = Held::load("nodes", "tls.nodes", named, config, &metrics)?;
            let own = Arc::clone(&held.credentials);
            let dialler = Dialler::new("nodes", own, metrics.clone());
            nodes = Security::tls(dialler, config.tls.cleartext_nodes);
            credentials.push(held);
        }
        let (mut https, mut rtmps) = (None, None);
        let public = &config.tls.public;
        if public.is_set() {
            let named = |config: &Config| config.tls.public.files(Use::Public);
            let held = Held::load("public", "tls.public", named, config, &metrics)?;
            let door = |name, protocol| {
                let (own, metrics) = (Arc::clone(&held.credentials), metrics.clone());
                Door::public(name, own, protocol, public, metrics).map(Arc::new)
            };
            https = Some(door("https", Protocol::Http)?);
            rtmps = Some(door("rtmps", Protocol::Rtmp)?);
            credentials.push(held);
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
        for held in &self.credentials {
            let watching = Arc::clone(&held.credentials).watch(shutdown.clone());
            let watching = vital::vital("the watch of certificates", shutdown, watching);
            tasks.spawn(watching);
        }
    }

    /// Has a reload of the configuration read the certificates anew.
    pub fn reload_with(&self, live: &mut Live<Config>) {
        for held in &self.credentials {
            let named = held.named;
            let named = move |config: &Config| Some(named(config));
            live.part(Arc::clone(&held.credentials).part(held.table, named));
        }
    }
}

impl Held {
    fn load(
        name: &'static str,
        table: &'static str,
        named: fn(&Config) -> Files,
        config: &Config,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let credentials = Credentials::load(name, named(config), metrics.clone())
            .map_err(|e| Error::Certificates(table, e))?;
        Ok(Self {
            credentials,
            table,
            named,
        })
    }
}
