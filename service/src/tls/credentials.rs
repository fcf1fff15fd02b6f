//! Certificates that are replaced while they are used.
//!
//! The configurations of rustls are made once and ask here for what is valid now, so that a new
//! certificate counts from the next handshake on and nothing that is open notices.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use super::material::{FileError, Files, Material, Stamp};
use super::metrics::Metrics;
use crate::reload::{Commit, Part, commit};

/// A certificate that expires within this time is worth a warning at every look that finds it so
/// for the first time.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// The certificates of one use, as they are now.
pub struct Credentials {
    /// What metrics and the log call them.
    name: &'static str,
    files: Files,
    current: ArcSwap<Material>,
    seen: Mutex<Seen>,
    metrics: Metrics,
}

/// The files as they were.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When they were last read, well or not.
    last: Stamp,
    /// When what is used now was read.
    used: Stamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.name).finish()
    }
}

impl Credentials {
    /// Reads the files for the first time. Blocks while it does.
    ///
    /// # Errors
    /// What is wrong with them; nothing can be served with these.
    pub fn load(
        name: &'static str,
        files: Files,
        metrics: Metrics,
    ) -> Result<Arc<Self>, FileError> {
        let stamp = files.stamp();
        let seen = Mutex::new(Seen {
            last: stamp,
            used: stamp,
        });
        let material = files.load(SystemTime::now())?;
        let this = Self {
            name,
            files,
            current: ArcSwap::from_pointee(material),
            seen,
            metrics,
        };
        this.tell_expiry(&this.current());
        Ok(Arc::new(this))
    }

    /// What is valid now.
    pub fn current(&self) -> Arc<Material> {
        self.current.load_full()
    }

    /// Whom this side's certificate names, between members.
    pub fn identity(&self) -> Option<Identity> {
        self.current.load().identity().cloned()
    }

    /// Reads the files anew and uses them from the next handshake on. Blocks while it does. If
    /// they are no good the old ones stay, which is logged and counted.
    ///
    /// # Errors
    /// What is wrong with the new files.
    pub fn reload(&self) -> Result<(), FileError> {
        let (material, stamp) = self.read_anew()?;
        self.replace(material, stamp);
        Ok(())
    }

    /// Reads the files anew if they are not those that were read last. Blocks while it does.
    pub fn refresh(&self) {
        if self.seen().last != self.files.stamp() {
            // What is wrong was told.
            let _ = self.reload();
        }
    }

    /// What a reload of the daemon's configuration does with them: the files are read at once and
    /// used from the next handshake on, or refuse the whole reload. `named` are those that a
    /// configuration names in `table`; if they are others than these, nothing is read, and they wait
    /// as any key does.
    pub fn part<C>(
        self: Arc<Self>,
        table: &'static str,
        named: impl Fn(&C) -> Option<Files> + Send + Sync,
    ) -> impl Part<C> {
        move |config: &C| match named(config) {
            Some(files) if self.files.are(&files) => {
                let prepared = Arc::clone(&self).prepare();
                prepared.map_err(|why| format!("[{table}] {why}"))
            }
            _ => Ok(commit(|| {})),
        }
    }

    fn prepare(self: Arc<Self>) -> Result<Commit, FileError> {
        let (material, stamp) = self.read_anew()?;
        if self.seen().used == stamp {
            return Ok(commit(|| {}));
        }
        let renewed = format!("certificates for {}", self.name);
        Ok(commit(move || self.replace(material, stamp)).renewing(renewed))
    }

    fn read_anew(&self) -> Result<(Material, Stamp), FileError> {
        let stamp = self.files.stamp();
        self.files
            .load(SystemTime::now())
            .map(|material| (material, stamp))
            .inspect_err(|error| {
                self.seen().last = stamp;
                self.metrics.reloaded(self.name, "failed");
                log::error!(
                    rackcast_reason = "certificates";
                    "the new certificates for {} cannot be used, and the old ones stay: {error}",
                    self.name
                );
            })
    }

    fn replace(&self, material: Material, stamp: Stamp) {
        self.tell_expiry(&material);
        self.current.store(Arc::new(material));
        *self.seen() = Seen {
            last: stamp,
            used: stamp,
        };
        self.metrics.reloaded(self.name, "done");
        log::info!("the certificates for {} were replaced", self.name);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Self::refresh`] now and then, off the reactor, until `shutdown`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = interval(self.files.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned = None;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.refresh_off_reactor().await;
            let expiry = self.current().certificate_expiry();
            let soon = expiry.filter(|at| *at < SystemTime::now() + SOON);
            if let Some(at) = soon
                && warned != soon
            {
                log::warn!(
                    rackcast_reason = "certificates";
                    "the certificate for {} expires at {}",
                    self.name, humantime::format_rfc3339(at)
                );
                warned = soon;
            }
        }
    }

    /// [`Self::refresh`] for those who are about to use them.
    pub async fn refresh_off_reactor(self: &Arc<Self>) {
        let this = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || this.refresh()).await {
            log::error!(
                "certificates could not be looked at: {}",
                io::Error::from(error)
            );
        }
    }

    fn tell_expiry(&self, material: &Material) {
        let files = [
            ("certificate", material.certificate_expiry()),
            ("authorities", material.authorities_expiry()),
        ];
        for (file, expiry) in files {
            if let Some(expiry) = expiry {
                self.metrics.expires(self.name, file, expiry);
            }
        }
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().certified.clone()
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current.load().certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.current.load().certified.is_some()
    }
}
