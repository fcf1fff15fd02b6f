//! What supervisor and generation say to each other, as frames over a unix socket.
//!
//! The two may be of different versions, so either ignores what it does not know.

use std::path::PathBuf;

use rackcast_service::reload::Waiting;
use rackcast_service::status::Health;
use serde::{Deserialize, Serialize};

/// Name under which the generation inherits its end of the socket.
pub const CONTROL_FD: &str = "control";
/// Name under which it inherits the socket at which other generations ask it.
pub const INSIDE_FD: &str = "inside";
/// Name under which it inherits the socket at which it takes publishers from them.
pub const PUBLISH_FD: &str = "publish";
/// Name under which it inherits the text of its configuration.
pub const CONFIG_FD: &str = "config";

/// Name under which a supervisor leaves its successor in the same process the configuration that
/// its listeners and names come from.
pub const BASIS_FD: &str = "basis";

/// From the generation, several times a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Publishers and players are served.
    pub ready: bool,
    /// The generation's judgement of itself.
    pub health: Health,
    /// Grows while the generation moves.
    pub progress: u64,
    /// At most so long after each other, in milliseconds, while it lives; 0 if it does not say.
    #[serde(default)]
    pub beat_ms: u64,
    /// Streams with a publisher or waiting for it to return.
    #[serde(default)]
    pub streams: u64,
    /// It has retired and nobody needs it any more.
    #[serde(default)]
    pub idle: bool,
    /// How its last reload went.
    #[serde(default)]
    pub reloaded: Option<Reloaded>,
    /// The version of its program.
    #[serde(default)]
    pub version: String,
    /// Keys whose new value is not in force, there or in the supervisor.
    #[serde(default)]
    pub waiting: Waiting,
}

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// That of the order.
    pub number: u64,
    /// What was read anew and replaced beside the file.
    #[serde(default)]
    pub renewed: Vec<String>,
    /// Why the configuration was refused, if it was.
    pub refused: Option<String>,
}

/// Another generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number.
    pub generation: u64,
    /// The socket at which it answers other generations.
    pub inside: PathBuf,
    /// The socket at which it takes publishers from them.
    pub publish: PathBuf,
}

/// To the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Send publishers away, settle what is out, and exit.
    Stop,
    /// Accept nothing more; serve what is there to its end.
    Retire,
    /// Send publishers away, to the generation that accepts; serve what can still be played.
    Leave,
    /// These are the other generations that can be asked.
    Peers {
        /// All but the one that is told.
        others: Vec<Peer>,
    },
    /// Go by the configuration file whose text is the payload.
    Reload {
        /// Comes back in [`Reloaded`].
        number: u64,
    },
    /// These keys wait in the supervisor: listeners, names.
    Waiting {
        /// What each of them waits for.
        keys: Waiting,
    },
    /// A configuration was refused before it came here.
    Refused,
    /// A new generation was to take over and could not.
    HandoverFailed,
    /// One of a later version.
    #[serde(other)]
    Unknown,
}
