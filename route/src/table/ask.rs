//! What is asked of the table, and what it answers.

use std::time::{Duration, Instant};

use super::home::Home;
use super::reason::{FailureKind, PickReason};
use super::slab::NodeRef;
use crate::member::Load;

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Work, in output pixels of the renditions asked.
    pub work: u64,
    /// Time left until the renditions must be there.
    pub time_left: Duration,
    /// Where the stream's segments go, if anywhere yet.
    pub home: Option<Home>,
    /// Nodes that must not get it (again).
    pub tried: &'a [NodeRef],
    /// What the submission is for.
    pub purpose: Purpose,
    /// Whether a first submission may go to a node that is on trial.
    pub trials: bool,
    /// Whether a good node that has no room may be waited for, in place of a bad one that has.
    pub patient: bool,
}

/// What a submission is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The segment's first submission: the only one that follows and moves the stream's home,
    /// and the only one that may try out a node of which little is known.
    First,
    /// Another try after a failure: goes where success is likeliest.
    Retry,
    /// A second copy of a request that is late: only to a good node with a free slot.
    Hedge,
    /// A second node's word on a segment that the first one blames.
    SecondOpinion {
        /// The first one; the second stands in another zone where there is one.
        not_zone_of: NodeRef,
    },
    /// A copy beside the first submission, for a stream that is marked precious.
    Copy {
        /// Where the first one went; the copy goes to another zone where there is one.
        not_zone_of: NodeRef,
    },
}

/// A node for a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Which.
    pub node: NodeRef,
    /// Why this one.
    pub reason: PickReason,
    /// How long the job should take there, from sending it to the last rendition, network and
    /// waiting included.
    pub predicted: Duration,
    /// What else came into question, best first.
    pub alternatives: [Option<Alternative>; 3],
    /// The stream's home from now on, to be asked with next time. Unchanged unless the purpose
    /// is [`Purpose::First`].
    pub home: Home,
}

/// A node that was not picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// Which.
    pub node: NodeRef,
    /// How long the job should take there.
    pub predicted: Duration,
}

/// A job that is in flight; [`Table::finish`](super::Table::finish) takes it back.
#[derive(Debug)]
#[must_use = "a ticket that is not finished leaves the node looking busy for ever"]
pub struct Ticket {
    pub(super) node: NodeRef,
    pub(super) flight: u64,
    pub(super) work: u64,
    pub(super) sent: Instant,
    pub(super) predicted: Duration,
    pub(super) trial: bool,
}

impl Ticket {
    /// The node that has the job.
    pub fn node(&self) -> NodeRef {
        self.node
    }

    /// Whether it tells if its node, or the node's zone, is well again.
    pub fn is_trial(&self) -> bool {
        self.trial
    }

    /// When it was sent.
    pub fn sent(&self) -> Instant {
        self.sent
    }

    /// Its work in output pixels.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// What was predicted when it was sent.
    pub fn predicted(&self) -> Duration {
        self.predicted
    }
}

/// How a node says that it spent a job's time. It can only divide the time that was measured
/// from outside, never shorten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for a slot.
    pub queue: Duration,
    /// Working.
    pub work: Duration,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// All that was asked came, and was right.
    Done {
        /// From sending the request to the last rendition.
        elapsed: Duration,
        /// How the node says it spent that.
        timing: Option<Timing>,
        /// The node's load, as its summary says.
        load: Option<Load>,
    },
    /// The node failed.
    Failed(FailureKind),
    /// 422: the node blames the segment. [`Table::confirmed`](super::Table::confirmed) or
    /// [`Table::contradicted`](super::Table::contradicted) tells later whether rightly.
    Claimed,
    /// 429 or 503: no failure; the node is left alone until it wants work again.
    Refused {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// Its load, if it said.
        load: Option<Load>,
    },
    /// Given up for a reason that is not the node's failure. How long it had it still counts.
    Cancelled,
}

/// What an event changed in a node's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It gets no work for this long.
    Ejected {
        /// Why.
        kind: FailureKind,
        /// For how long.
        length: Duration,
    },
    /// It came through its trial, and is given more and more from now on.
    Returned,
}
