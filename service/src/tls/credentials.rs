//! Certificates that are replaced while they are used.
//!
//! The configurations of rustls are made once and ask here for what is valid now, so that a new
//! certificate counts from the next handshake on and nothing that is open notices.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
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

/// A certificate that expires within this time is worth a warning at every look that finds it so
/// for the first time.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// The certificates of one use, as they are now.
pub struct Credentials {
    /// What metrics and the log call them.
    name: &'static str,
    files: Files,
    current: ArcSwap<Material>,
    /// The files as they were when they were last read, well or not.
    seen: Mutex<Stamp>,
    metrics: Metrics,
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
        let seen = Mutex::new(files.stamp());
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
        let stamp = self.files.stamp();
        let result = self.files.load(SystemTime::now());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        match result {
            Ok(material) => {
                self.tell_expiry(&material);
                self.current.store(Arc::new(material));
                self.metrics.reloaded(self.name, "done");
                log::info!("the certificates for {} were replaced", self.name);
                Ok(())
            }
            Err(error) => {
                self.metrics.reloaded(self.name, "failed");
                log::error!(
                    rackcast_reason = "certificates";
                    "the new certificates for {} cannot be used, and the old ones stay: {error}",
                    self.name
                );
                Err(error)
            }
        }
    }

    /// Reads the files anew if they are not those that were read last. Blocks while it does.
    pub fn refresh(&self) {
        let stamp = self.files.stamp();
        let same = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == stamp;
        if !same {
            // What is wrong was told.
            let _ = self.reload();
        }
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
