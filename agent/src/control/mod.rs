//! The agent's control socket: how an operator on this machine tells it something.
//!
//! | Request | What |
//! |---|---|
//! | `GET /v1/machine` | what the agent knows: a [`Machine`] |
//! | `PUT /v1/drain` with a [`Request`] | takes the machine out of service |
//! | `DELETE /v1/drain` | puts it back to work |
//!
//! Who may open the socket may do all of this: its owner, root, and the group that
//! `control_group` names. The system says who is at the other end, and that stands in the order,
//! in the log and in Consul. [`serve`] is the agent's side, [`ask`] the command's.

mod ask;
mod peer;
mod serve;

use rackcast_service::drain::Order;
use rackcast_service::status::{HealthState, ServiceStatus};
use serde::{Deserialize, Serialize};

use crate::probe::Findings;

pub use ask::{AskError, drain, machine, resume};
pub use serve::{BindError, Control, serve};

const MACHINE_PATH: &str = "/v1/machine";
const DRAIN_PATH: &str = "/v1/drain";

/// What the agent knows of its machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The machine's name in the fleet.
    pub node: String,
    /// Where it stands; empty if nobody said.
    pub zone: String,
    /// The agent's own status; how the registrations stand is its health.
    pub agent: ServiceStatus,
    /// The order that holds.
    pub order: Order,
    /// The services, by ID.
    pub services: Vec<Judged>,
    /// What the probes of the machine found, by name.
    #[serde(default)]
    pub findings: Findings,
}

/// A service as the agent judges it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its ID in Consul; of one that is not registered, its status socket.
    pub id: String,
    /// Whether it stands in Consul, or shall.
    pub registered: bool,
    /// Whether anybody listens on its status socket.
    pub running: bool,
    /// The judgement.
    pub state: HealthState,
    /// Why.
    pub reason: String,
    /// What it said last.
    pub status: ServiceStatus,
}

/// How to drain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Why, for people.
    pub reason: String,
    /// Seconds until patience with what is still there ends.
    pub deadline_s: Option<u64>,
    /// Who became root to ask this, as `sudo` says; believed of root only.
    pub sudo_user: Option<String>,
}

/// Instead of an answer, with a status from 400 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and what to do.
    pub message: String,
}
