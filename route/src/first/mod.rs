//! The first form of the policy, which dispatch uses until it runs on [`table`](crate::table)
//! and the plan of a segment.

pub mod budget;
mod config;
pub mod estimate;
pub mod health;
mod job;
mod node;
mod reason;
mod table;

pub use budget::Budget;
pub use config::Config;
pub use job::{Change, Choice, Job, Outcome, Ticket};
pub use node::{NodeView, Standing};
pub use reason::{FailureKind, NoNode, NoNodeReason, Reason};
pub use table::Table;
