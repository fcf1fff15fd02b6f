//! Reads certificates and keys, and says what is wrong with them while there is still time.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage};

use super::identity::{Identity, IdentityError};
use super::provider;
use crate::config::credential;
use crate::status::Role;

/// The longest file, in bytes: a bundle of hundreds of authorities takes a tenth of it.
const MAX_FILE: u64 = 4 << 20;

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

/// What is wrong with the files. None of it mends itself: somebody must put other files there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A key of the configuration is missing, superfluous, or out of its range.
    #[error("{0}")]
    Config(&'static str),
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    KeyMismatch {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificate.
        certificate: PathBuf,
    },
    /// A certificate is not valid now.
    #[error("{}: {what}", path.display())]
    Time {
        /// The file.
        path: PathBuf,
        /// Since when, or until when.
        what: String,
    },
    /// The certificate names nobody, or somebody else.
    #[error("{}: {what}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What it says and what it should say.
        what: String,
    },
    /// Peers with these authorities would refuse the certificate.
    #[error("{}: no authority in {} vouches for it: {what}", certificate.display(), authorities.display())]
    Untrusted {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the authorities.
        authorities: PathBuf,
        /// Why not.
        what: String,
    },
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
        Stamp(files.map(|path| {
            let path = path.as_ref()?;
            let found = std::fs::metadata(credential(path)).ok()?;
            Some(Seen {
                place: (found.dev(), found.ino()),
                changed: (found.mtime(), found.mtime_nsec()),
                length: found.len(),
            })
        }))
    }
}

/// One look at three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp([Option<Seen>; 3]);

/// A file, without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Device and inode: a rename puts another file there.
    place: (u64, u64),
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    length: u64,
}

/// A certificate with its key.
struct Own {
    certified: CertifiedKey,
    expiry: SystemTime,
}

impl Own {
    fn read(certificate: &Path, key: &Path, now: SystemTime) -> Result<Self, FileError> {
        let chain = certificates(certificate)?;
        let mut expiry = None;
        for (number, der) in chain.iter().enumerate() {
            let (from, until) = validity(der).map_err(|e| FileError::Content {
                path: credential(certificate),
                what: format!("holds a certificate that cannot be read: {e}"),
            })?;
            let which = if number == 0 {
                "the certificate"
            } else {
                "an intermediate"
            };
            let wrong = |what: String| FileError::Time {
                path: credential(certificate),
                what: format!("{which} {what}"),
            };
            if until < now {
                return Err(wrong(format!(
                    "expired at {}",
                    humantime::format_rfc3339(until)
                )));
            }
            if from > now {
                let from = humantime::format_rfc3339(from);
                return Err(wrong(format!("is not valid before {from}")));
            }
            expiry = Some(expiry.map_or(until, |first: SystemTime| first.min(until)));
        }
        let bytes = read(key)?;
        warn_if_open(key);
        let content = |what: String| FileError::Content {
            path: credential(key),
            what,
        };
        let der = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            content("holds no private key in PEM (PKCS#8, SEC1 or PKCS#1)".to_owned())
        })?;
        let signing = provider()
            .key_provider
            .load_private_key(der)
            .map_err(|e| content(format!("the key cannot be used: {e}")))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => FileError::KeyMismatch {
                key: credential(key),
                certificate: credential(certificate),
            },
            other => FileError::Content {
                path: credential(certificate),
                what: other.to_string(),
            },
        })?;
        Ok(Self {
            certified,
            expiry: expiry.unwrap_or(now),
        })
    }

    /// Whom it names: this daemon, or it is of no use to it.
    fn identity(&self, path: &Path, role: Role, node: &str) -> Result<Identity, FileError> {
        let wrong = |what: String| FileError::Identity {
            path: credential(path),
            what,
        };
        let leaf = self.certified.cert.first();
        let identity = leaf.map_or(Err(IdentityError::None), Identity::of);
        let identity = identity.map_err(|e| wrong(e.to_string()))?;
        if identity.role != role {
            return Err(wrong(format!("names {identity}, and this is a {role}")));
        }
        if identity.node != node {
            return Err(wrong(format!(
                "names {identity}, and this node is called {node} (key `node`, or the host name)"
            )));
        }
        Ok(identity)
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(path)?;
    let content = |what: String| FileError::Content {
        path: credential(path),
        what,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|e| content(format!("is no PEM: {e}")))?;
    match all.is_empty() {
        true => Err(content("holds no certificate in PEM".to_owned())),
        false => Ok(all),
    }
}

/// From when until when a certificate is valid. webpki says so only of one that is not: it is asked
/// at both ends of time.
fn validity(der: &CertificateDer<'_>) -> Result<(SystemTime, SystemTime), webpki::Error> {
    let certificate = EndEntityCert::try_from(der)?;
    let algorithms = provider().signature_verification_algorithms.all;
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::client_auth();
        let verified = certificate.verify_for_usage(algorithms, &[], &[], time, usage, None, None);
        verified.map(drop)
    };
    let from = match at(0) {
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
        _ => UnixTime::since_unix_epoch(Duration::ZERO),
    };
    match at(u64::MAX) {
        Err(webpki::Error::CertExpired { not_after, .. }) => Ok((system(from), system(not_after))),
        Err(other) => Err(other),
        Ok(()) => Ok((system(from), system(UnixTime::since_unix_epoch(FOREVER)))),
    }
}

/// RFC 5280's date for what does not expire, the end of the year 9999.
const FOREVER: Duration = Duration::from_secs(253_402_300_799);

fn system(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()).min(FOREVER)
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let path = credential(path);
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path)?;
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| FileError::Read {
        path: path.clone(),
        source,
    })
}

/// A key that others on the machine can read is everybody's.
fn warn_if_open(key: &Path) {
    let path = credential(key);
    let open = std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0);
    if open {
        log::warn!(
            "{} can be read by every user of this machine: chmod o= {0}",
            path.display()
        );
    }
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
