//! Reads certificates and keys, and says what is wrong with them while there is still time.

mod error;
mod own;
mod pem;
mod stamp;
mod validity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::identity::Identity;
use super::provider;
use crate::config::credential;
use crate::status::Role;
pub use error::FileError;
use own::Own;
use pem::certificates;
pub(super) use stamp::Stamp;
use validity::validity;

/// What certificates are used for, which decides what must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Between members of a fleet: all three files, and the certificate names this member.
    Member {
        /// What this daemon does.
        role: Role,
        /// This machine's name.
        node: String,
    },
    /// For anybody who calls: certificate and key.
    Public,
    /// To call a server that is no member: authorities, and a certificate if it asks for one.
    Caller,
}

/// The files of one use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub(super) purpose: Use,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) authorities: Option<PathBuf>,
    pub(super) reload_interval: Duration,
}

/// What the files hold, checked.
pub struct Material {
    /// This side's certificate and key.
    pub(super) certified: Option<Arc<CertifiedKey>>,
    /// Who may vouch for peers.
    pub(super) roots: Arc<RootCertStore>,
    /// Checks the chains of those who call, where members do.
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
    identity: Option<Identity>,
    certificate_expiry: Option<SystemTime>,
    authorities_expiry: Option<SystemTime>,
}

impl Material {
    /// Whom this side's certificate names, between members.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// When the first certificate of this side's chain expires.
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.certificate_expiry
    }

    /// When the first of the authorities expires.
    pub fn authorities_expiry(&self) -> Option<SystemTime> {
        self.authorities_expiry
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("identity", &self.identity)
            .field("authorities", &self.roots.len())
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Reads the files and forgets what they hold.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), FileError> {
        self.load(SystemTime::now()).map(drop)
    }

    /// Reads the files; they must be good at `now`.
    pub(super) fn load(&self, now: SystemTime) -> Result<Material, FileError> {
        self.complete()?;
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                Some((certificate, Own::read(certificate, key, now)?))
            }
            _ => None,
        };
        let mut material = Material {
            certified: None,
            roots: Arc::new(RootCertStore::empty()),
            clients: None,
            identity: None,
            certificate_expiry: own.as_ref().map(|(_, own)| own.expiry),
            authorities_expiry: None,
        };
        if let Some(path) = &self.authorities {
            let (roots, expiry) = authorities(path)?;
            material.roots = Arc::new(roots);
            material.authorities_expiry = expiry;
        }
        if let (Use::Member { role, node }, Some((path, own))) = (&self.purpose, &own) {
            material.identity = Some(own.identity(path, *role, node)?);
            material.clients = Some(self.vouch(path, &material.roots, own, *role, now)?);
        }
        material.certified = own.map(|(_, own)| Arc::new(own.certified));
        Ok(material)
    }

    /// Whether the files are named that this use needs, and no others.
    fn complete(&self) -> Result<(), FileError> {
        let wrong = |what| Err(FileError::Config(what));
        let has = (
            self.certificate.is_some(),
            self.key.is_some(),
            self.authorities.is_some(),
        );
        match (&self.purpose, has) {
            (_, (true, false, _)) => wrong("key is missing: certificate has no use without it"),
            (_, (false, true, _)) => wrong("certificate is missing: key has no use without it"),
            (Use::Member { .. }, (true, true, true)) => Ok(()),
            (Use::Member { .. }, _) => wrong(
                "certificate, key and authorities are needed, all three: between ingest and \
                 transcode nodes both sides prove who they are",
            ),
            (Use::Public, (true, true, false)) => Ok(()),
            (Use::Public, (_, _, true)) => {
                wrong("authorities has no use here: players and publishers show no certificate")
            }
            (Use::Public, _) => wrong("certificate and key are needed"),
            (Use::Caller, (_, _, true)) => Ok(()),
            (Use::Caller, _) => wrong("authorities is needed: else no server could be believed"),
        }
    }

    /// Checks this side's own certificate as a peer with the same authorities would.
    fn vouch(
        &self,
        path: &Path,
        roots: &Arc<RootCertStore>,
        own: &Own,
        role: Role,
        now: SystemTime,
    ) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
        let authorities = self.authorities.clone().unwrap_or_default();
        let untrusted = |what: String| FileError::Untrusted {
            certificate: path.to_owned(),
            authorities: authorities.clone(),
            what,
        };
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
            .build()
            .map_err(|e| untrusted(e.to_string()))?;
        let now = unix(now);
        let chain = &own.certified.cert;
        let (Some(leaf), rest) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
            return Err(untrusted("it is empty".to_owned()));
        };
        let vouched = match role {
            // It answers calls.
            Role::Transcode => leaf.try_into().and_then(|leaf| {
                let algorithms = provider().signature_verification_algorithms;
                verify_server_cert_signed_by_trust_anchor(&leaf, roots, rest, now, algorithms.all)
            }),
            // It calls.
            Role::Ingest | Role::Agent => clients.verify_client_cert(leaf, rest, now).map(drop),
        };
        vouched.map_err(|e| untrusted(e.to_string()))?;
        Ok(clients)
    }

    /// The files as they stand in the file system now: differs when one was replaced.
    pub(super) fn stamp(&self) -> Stamp {
        let files = [&self.certificate, &self.key, &self.authorities];
        Stamp::of(files.map(Option::as_deref))
    }

    /// Whether these are the same files, for the same use.
    pub(super) fn are(&self, others: &Self) -> bool {
        let reload_interval = self.reload_interval;
        *self
            == Self {
                reload_interval,
                ..others.clone()
            }
    }
}

fn authorities(path: &Path) -> Result<(RootCertStore, Option<SystemTime>), FileError> {
    let mut roots = RootCertStore::empty();
    let mut first: Option<SystemTime> = None;
    for der in certificates(path)? {
        // An authority of the first version of X.509 may vouch, and has no date that is read.
        let until = validity(&der).ok().map(|(_, until)| until);
        roots.add(der).map_err(|e| FileError::Content {
            path: credential(path),
            what: format!("holds a certificate that cannot be an authority: {e}"),
        })?;
        first = [first, until].into_iter().flatten().min();
    }
    Ok((roots, first))
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
