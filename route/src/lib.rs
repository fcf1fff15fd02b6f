//! Who gets the next segment: the ingest's own judgement of every transcode node.
//!
//! There is no coordinator. Each ingest keeps one [`Table`] of what it has measured itself,
//! shared by all of its streams, because a hundred streams learn of a slow node a hundred
//! times faster than one does. The catalog says who is a member; the table says who is good.
//!
//! - [`Table::pick`] chooses the node with the least predicted finish: network, plus work
//!   times the [peak-EWMA](estimate) of the time per pixel times the node's occupancy.
//! - [`Table::finish`] is where it learns: results move the estimate, failures in a row
//!   [eject](health) the node for a growing, jittered time, and one trial brings it back;
//!   push-back (429, 503) blocks a node for as long as it asked and is no failure.
//! - [`Budget`] bounds what all retries together may add to the fleet's load.
//!
//! Everything here is pure: time and randomness come in as parameters and nothing is read or
//! written, so that a simulator drives the very code that runs in production.

pub mod budget;
mod config;
pub mod estimate;
pub mod health;
mod job;
mod member;
mod node;
mod reason;
mod table;

pub use budget::Budget;
pub use config::Config;
pub use job::{Change, Choice, Job, Outcome, Ticket};
pub use member::{Endpoint, Load, Member, NodeId};
pub use node::{NodeView, Standing};
pub use reason::{FailureKind, NoNode, NoNodeReason, Reason};
pub use table::Table;
