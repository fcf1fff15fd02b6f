//! Why a generation cannot work.

use std::io;

use rackcast_service::process::InheritError;

use crate::{auth, tls};

/// Why a generation cannot work. All but the last need an operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not started by a supervisor.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The state directory does not hold what it should.
    #[error("state_dir: {0}")]
    State(io::Error),
    /// Keys or the webhook of `[auth]` cannot be used.
    #[error("auth: {0}")]
    Auth(#[from] auth::AuthError),
    /// Certificates of `[tls]` cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// `[consul]` cannot be used.
    #[error("consul: {0}")]
    Consul(#[from] rackcast_consul::client::Error),
    /// Two metrics have one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system refuses what every process needs.
    #[error(transparent)]
    System(#[from] io::Error),
}
