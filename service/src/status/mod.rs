//! What a service says of itself.
//!
//! Each service serves its [`ServiceStatus`] on a unix socket of its own (`GET /status`), and the
//! machine's agent builds the Consul registration and its checks from that: ports, tags, capacity
//! and health are never configured a second time. [`serve()`] is the service's side, [`fetch`] the
//! reader's.

mod device;
mod fetch;
mod generation;
mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::reload::Waiting;

pub use device::{Device, DeviceState, Gpu};
pub use fetch::{FetchError, fetch, fetch_from};
pub use generation::{Generation, Phase};
pub use serve::{Serving, serve};

/// What a service does for the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes publishers, serves players.
    Ingest,
    /// Turns segments into renditions.
    Transcode,
    /// Keeps the others registered; is not registered itself.
    Agent,
}

impl Role {
    /// The role as it stands in service names, metrics and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transcode => "transcode",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well a service is, in Consul's three grades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// Works; possibly with less capacity than usual.
    Passing,
    /// Works, but someone should look.
    Warning,
    /// Does not work: no device is left, or nothing moves.
    Critical,
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// A service's own judgement of its health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The grade.
    pub state: HealthState,
    /// One line that says why, and stays the same while nothing changes: every change of it
    /// is a write to Consul's servers.
    pub summary: String,
}

impl Health {
    /// Works.
    pub fn passing(summary: impl Into<String>) -> Self {
        Self {
            state: HealthState::Passing,
            summary: summary.into(),
        }
    }

    /// Works, but someone should look.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self {
            state: HealthState::Warning,
            summary: summary.into(),
        }
    }

    /// Does not work.
    pub fn critical(summary: impl Into<String>) -> Self {
        Self {
            state: HealthState::Critical,
            summary: summary.into(),
        }
    }
}

/// What a service says of itself on its status socket.
///
/// A reader ignores fields that it does not know, so that agent and services can be upgraded one
/// after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// What it does.
    pub role: Role,
    /// Its name on this machine; two services of one role on a machine differ in it.
    pub instance: String,
    /// The machine's name in the fleet.
    pub node: String,
    /// The running version.
    pub version: String,
    /// The process that holds the listeners.
    pub pid: u32,
    /// The version of the protocol that it speaks with its peers.
    pub protocol: u32,
    /// It listens and can be given work.
    pub ready: bool,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
    /// Its judgement of its own health.
    pub health: Health,
    /// What it listens on, by purpose (`rtmp`, `http`, `segments`, `admin`): the addresses as
    /// they were really bound.
    pub endpoints: BTreeMap<String, SocketAddr>,
    /// Tags for the catalog: `nvidia`, `cpu`, `h264`.
    pub tags: Vec<String>,
    /// Facts for the catalog that change seldom: `slots`, `pixel-rate`. Never load.
    pub meta: BTreeMap<String, String>,
    /// Capacity relative to the others of its role, from 1; Consul's weight while passing.
    pub weight: u32,
    /// Grows while work is done or the idle loop is alive; standing still means stuck.
    pub progress: u64,
    /// How long ago it moved last when this was told, in milliseconds; the status socket says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_ms: Option<u64>,
    /// While it lives it moves at least this often, in milliseconds; 0 if it does not say.
    #[serde(default)]
    pub beat_ms: u64,
    /// What it is at: jobs or streams. A service that drains and is at nothing has finished.
    #[serde(default)]
    pub work: u64,
    /// What does the work, where that can fail by parts.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// What there is to say of the GPUs' driver, in a line; empty if nobody asked it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gpu_driver: String,
    /// The processes that serve, where a service hands over from one to the next.
    #[serde(default)]
    pub generations: Vec<Generation>,
    /// Keys of its configuration whose new value is not in force, and what each waits for.
    #[serde(default)]
    pub waiting: Waiting,
}

impl ServiceStatus {
    /// The status of a service that has just begun to start.
    pub fn new(role: Role, node: &str, instance: &str, version: &str) -> Self {
        Self {
            role,
            instance: instance.to_owned(),
            node: node.to_owned(),
            version: version.to_owned(),
            pid: std::process::id(),
            protocol: 1,
            ready: false,
            draining: false,
            health: Health::warning("starting"),
            endpoints: BTreeMap::new(),
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weight: 1,
            progress: 0,
            still_ms: None,
            beat_ms: 0,
            work: 0,
            devices: Vec::new(),
            gpu_driver: String::new(),
            generations: Vec::new(),
            waiting: Waiting::new(),
        }
    }
}
