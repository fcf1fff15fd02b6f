//! A certificate with its key.

use std::path::Path;
use std::time::SystemTime;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::super::identity::{Identity, IdentityError};
use super::super::provider;
use super::error::FileError;
use super::pem::{certificates, read, warn_if_open};
use super::validity::validity;
use crate::config::credential;
use crate::status::Role;

/// A certificate with its key.
pub(super) struct Own {
    pub(super) certified: CertifiedKey,
    /// When the first of its chain expires.
    pub(super) expiry: SystemTime,
}

impl Own {
    /// Reads both; they must belong together and be valid at `now`.
    pub(super) fn read(certificate: &Path, key: &Path, now: SystemTime) -> Result<Self, FileError> {
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
    pub(super) fn identity(
        &self,
        path: &Path,
        role: Role,
        node: &str,
    ) -> Result<Identity, FileError> {
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
