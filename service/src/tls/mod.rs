//! TLS: who a peer is, where certificates come from, and how they are replaced.
//!
//! One type of credentials serves every daemon. Between ingest and transcode nodes both sides
//! prove who they are: a certificate names a member of the fleet ([`Identity`]), and a chain to
//! the fleet's own authority is what makes that true. What the catalog says of a node is a claim;
//! the handshake holds the node to it. Towards players, publishers and Consul only the usual side
//! has a certificate.
//!
//! | Module | What it is for |
//! |---|---|
//! | [`identity`] | the name, role and tier in a certificate |
//! | [`config`] | which files; limits of handshakes |
//! | [`material`] | reads the files and says what is wrong with them |
//! | [`credentials`] | holds what was read and notices when the files change |
//! | [`verify`] | which peers are believed |
//! | [`server`], [`client`] | handshakes, bounded in time and number |
//! | [`refusal`] | why a peer was refused, for metrics and the log |
//! | [`stream`] | a connection with or without TLS |
//!
//! **Rotation.** The files are looked at now and then, and at every reload of the configuration; when
//! they differ they are read anew, and every handshake from then on uses the new ones. Connections
//! that are open go on. Files that do not fit together (a certificate whose key has not arrived yet)
//! change nothing: the old ones stay, the log says why, and the next look tries again.
//!
//! **Keys** are read into memory and appear in no log and no `Debug` output.

pub mod client;
pub mod config;
pub mod credentials;
pub mod identity;
pub mod material;
pub mod metrics;
mod quiet;
pub mod refusal;
pub mod server;
pub mod stream;
mod verify;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use client::Dialler;
pub use config::{ClientConfig, ServerConfig};
pub use credentials::Credentials;
pub use identity::{Identity, Tier};
pub use material::{FileError, Files, Use};
pub use metrics::Metrics;
pub use refusal::{Reason, Refusal};
pub use rustls::Error;
pub use rustls::pki_types::ServerName;
pub use server::{Door, Protocol};
pub use stream::Stream;

/// The cryptography under everything here.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
