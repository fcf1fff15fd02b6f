use std::time::{Duration, Instant};

use super::reason::{FailureKind, Reason};
use crate::member::{Endpoint, Load, NodeId};

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Work in output pixels.
    pub work: u64,
    /// Nodes that must not get it (again).
    pub tried: &'a [NodeId],
}

/// A node for a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Which.
    pub node: NodeId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Why this one.
    pub reason: Reason,
    /// How long the job should take there, network included.
    pub predicted: Duration,
}

/// A job that is in flight; [`Table::finish`] takes it back.
#[derive(Debug)]
#[must_use = "a ticket that is not finished leaves the node looking busy for ever"]
pub struct Ticket {
    pub(crate) node: NodeId,
    pub(crate) life: u64,
    pub(crate) work: u64,
    pub(crate) occupancy: f64,
    pub(crate) sent: Instant,
}

impl Ticket {
    /// The node that has the job.
    pub fn node(&self) -> &NodeId {
        &self.node
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// All that was asked came, and was right.
    Done {
        /// From sending the request to the last rendition.
        elapsed: Duration,
        /// The node's load, as its summary says.
        load: Option<Load>,
    },
    /// The node failed.
    Failed(FailureKind),
    /// 429 or 503: no failure; the node is left alone until it wants work again.
    Refused {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// Its load, if it said.
        load: Option<Load>,
    },
    /// Given up for a reason that says nothing of the node.
    Cancelled,
}

/// What an outcome changed in a node's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It gets no work for this long.
    Ejected(Duration),
    /// It came through its trial.
    Returned,
}
