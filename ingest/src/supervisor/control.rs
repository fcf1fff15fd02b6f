//! What supervisor and generation say to each other, as frames over a unix socket.

use rackcast_service::status::Health;
use serde::{Deserialize, Serialize};

/// Name under which the generation inherits its end of the socket.
pub const CONTROL_FD: &str = "control";

/// From the generation, at least once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Publishers and players are served.
    pub ready: bool,
    /// The generation's judgement of itself.
    pub health: Health,
    /// Grows while the generation moves.
    pub progress: u64,
}

/// To the generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Send publishers away, settle what is out, and exit.
    Stop,
}
