//! Why a node did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rackcast_service::tls::{self, FileError};

/// Why a node did not start. Trying again helps only after the cause was removed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not this machine's.
    #[error("cannot listen on {0} (key listen.{1}): {2}")]
    Bind(SocketAddr, &'static str, io::Error),
    /// The status socket cannot be bound.
    #[error("cannot serve the status socket {} (key status_socket): {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SIGHUP cannot be listened to.
    #[error("SIGHUP cannot be listened to: {0}")]
    Signals(io::Error),
    /// The certificates cannot be used.
    #[error("[tls] {0}")]
    Certificates(#[from] FileError),
    /// TLS itself cannot be used: a defect.
    #[error("TLS: {0}")]
    Tls(#[from] tls::Error),
    /// The configuration of the Consul client does not work.
    #[error("[consul] {0}")]
    Consul(#[from] rackcast_consul::client::Error),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}
