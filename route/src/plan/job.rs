use std::time::{Duration, Instant};

use super::attempt::AttemptId;
use super::reason::GiveUp;
use super::trail::Step;
use crate::degrade::{Reduction, Shift};
use crate::member::Load;
use crate::renditions::Renditions;
use crate::router::StreamKey;
use crate::table::{FailureKind, NodeRef, Timing};

/// One segment to be transcoded.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whose segment.
    pub stream: StreamKey,
    /// Its sequence number, for the record.
    pub sequence: u64,
    /// Output pixels of each rendition of the ladder, top rung first; at most
    /// [`Renditions::MAX`].
    pub works: Vec<u64>,
    /// The renditions that are wanted; what [`Router::allowance`](crate::Router::allowance)
    /// left of the ladder.
    pub asked: Renditions,
    /// Why not all are, if so.
    pub reduced: Option<Reduction>,
    /// Duration of the segment's media.
    pub media: Duration,
    /// When an answer is worthless.
    pub deadline: Instant,
    /// Length of the request's body in bytes.
    pub input_bytes: u64,
    /// Copies run in parallel.
    pub precious: bool,
}

impl Job {
    /// Output pixels of some of its renditions.
    pub fn work(&self, renditions: Renditions) -> u64 {
        renditions.work(&self.works)
    }
}

/// What happened to a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// The segment is there: the first event of every plan.
    Begin,
    /// The time of [`Plan::wake`](super::Plan::wake) has come. One that comes early is harmless.
    Wake,
    /// [`Action::NodeFreed`] of another plan, or a change of the catalog: a plan that waits for
    /// a node looks again.
    Freed,
    /// A rendition came and was verified.
    Rendition {
        /// From which submission.
        attempt: AttemptId,
        /// Its position.
        index: u8,
    },
    /// A submission came to its end by itself.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: End,
    },
    /// Nobody waits for the segment any more.
    Abandoned,
}

/// How a submission ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// Every rendition that was asked came and was verified.
    Complete {
        /// What the node says of its time.
        timing: Option<Timing>,
        /// The node's load, as its summary says.
        load: Option<Load>,
    },
    /// 429 or 503 before the body was read: nothing was done, and it is no failure.
    Refused {
        /// What the node called it.
        code: &'static str,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// Its load, if it said.
        load: Option<Load>,
    },
    /// 400, 413, 415 or 422: the node says that it is the segment's fault.
    Claim {
        /// What the node called it.
        code: &'static str,
    },
    /// The node's fault.
    Failed {
        /// Of which kind.
        kind: FailureKind,
    },
}

/// What whoever runs a plan has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Submit the segment; its end comes back as [`Event::Ended`] unless it is cancelled.
    Send {
        /// What the plan calls this submission.
        attempt: AttemptId,
        /// To which node. [`Table::member`](crate::table::Table::member) has its address.
        node: NodeRef,
        /// What is asked of it.
        renditions: Renditions,
        /// How many submissions of this segment were taken on by a node, this one included.
        number: u32,
        /// A node blamed the segment or died of it: this one should begin in quarantine.
        suspect: bool,
    },
    /// Reset the request, which frees the node's slot. Nothing more is heard of it.
    Cancel {
        /// Which.
        attempt: AttemptId,
    },
    /// The rendition of the [`Event::Rendition`] of this step counts: hand it out. Without this
    /// action it came too late or twice, and is to be dropped.
    Deliver {
        /// Where it came from.
        attempt: AttemptId,
        /// Its position.
        index: u8,
    },
    /// They will not come.
    GiveUp {
        /// Which.
        renditions: Renditions,
        /// Why not.
        reason: GiveUp,
    },
    /// A node has become free: plans that wait for one should get [`Event::Freed`].
    NodeFreed,
    /// Something that an operator may want to read about. The same step is in the trail.
    Note(Step),
    /// More or less is left out of every stream's ladder from now on: for the log, once a
    /// change, by whichever plan comes next.
    Level(Shift),
}
