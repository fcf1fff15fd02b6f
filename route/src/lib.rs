//! Who gets the next segment: the ingest's own judgement of every transcode node.
//!
//! There is no coordinator. Each ingest keeps one [`table`] of what it has measured itself,
//! shared by all of its streams, because a hundred streams learn of a slow node a hundred
//! times faster than one does. The catalog says who is a member; the table says who is good.
//!
//! - [`Table`](table::Table): who gets a segment, by what this ingest measured;
//! - [`Plan`](plan::Plan): what next for one segment, a state machine without I/O;
//! - [`Router`]: the table, what may be spent, and which streams there are: what plans share;
//! - [`degrade`]: what is left out when the fleet cannot carry all.
//!
//! Everything here is pure: time and randomness come in as parameters and nothing is read or
//! written, so that a simulator drives the very code that runs in production.

mod bounds;
pub mod degrade;
mod member;
pub mod plan;
mod renditions;
pub mod router;
pub mod table;

pub use member::{Endpoint, Load, Member, NodeId, Tier};
pub use router::{Allowance, Router, RouterConfig, StreamKey};
