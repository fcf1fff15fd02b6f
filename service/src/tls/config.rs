//! Which files, and the limits of handshakes.
//!
//! A relative path is a systemd credential: it is looked up in `$CREDENTIALS_DIRECTORY`. Those are
//! read once, when the unit starts; certificates that are to be replaced while the service runs
//! need an absolute path.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::material::{FileError, Files, Use};

/// For a client: a table of certificates, without limits on those who call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// PEM file with this side's certificate and the intermediates up to the authority.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities that peers must have their certificates from.
    pub authorities: Option<PathBuf>,
    /// Time between two looks whether the files have changed.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            authorities: None,
            reload_interval: RELOAD_INTERVAL,
        }
    }
}

/// For a server: the same, and what a handshake may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// PEM file with this side's certificate and the intermediates up to the authority.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities that peers must have their certificates from.
    pub authorities: Option<PathBuf>,
    /// Time between two looks whether the files have changed.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// Time for a handshake, waiting for its turn included.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// Handshakes at the same time; more wait for their turn.
    pub max_handshakes: usize,
}

const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            authorities: None,
            reload_interval: RELOAD_INTERVAL,
            handshake_timeout: Duration::from_secs(5),
            max_handshakes: 64,
        }
    }
}

impl ClientConfig {
    /// Whether any file is named: then TLS is meant.
    pub fn is_set(&self) -> bool {
        self.certificate.is_some() || self.key.is_some() || self.authorities.is_some()
    }

    /// The files, for this use.
    pub fn files(&self, purpose: Use) -> Files {
        Files {
            purpose,
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            authorities: self.authorities.clone(),
            reload_interval: self.reload_interval,
        }
    }

    /// Reads the files as a start would, if any is named.
    ///
    /// # Errors
    /// What is wrong with them, or with the interval.
    pub fn check(&self, purpose: Use) -> Result<(), FileError> {
        if self.reload_interval.is_zero() {
            return Err(FileError::Config("reload_interval must be above 0s"));
        }
        match self.is_set() {
            true => self.files(purpose).check(),
            false => Ok(()),
        }
    }
}

impl ServerConfig {
    fn client(&self) -> ClientConfig {
        ClientConfig {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            authorities: self.authorities.clone(),
            reload_interval: self.reload_interval,
        }
    }

    /// Whether any file is named: then TLS is meant.
    pub fn is_set(&self) -> bool {
        self.client().is_set()
    }

    /// The files, for this use.
    pub fn files(&self, purpose: Use) -> Files {
        self.client().files(purpose)
    }

    /// Reads the files as a start would, if any is named.
    ///
    /// # Errors
    /// What is wrong with them, or with the limits.
    pub fn check(&self, purpose: Use) -> Result<(), FileError> {
        if self.handshake_timeout.is_zero() {
            return Err(FileError::Config("handshake_timeout must be above 0s"));
        }
        if self.max_handshakes == 0 {
            return Err(FileError::Config("max_handshakes must be at least 1"));
        }
        self.client().check(purpose)
    }
}
