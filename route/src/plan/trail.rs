//! What was decided for one segment, when and why: what `rackcast explain` tells.
//!
//! A trail is bounded: what does not fit is counted, not kept, except for the last step, which
//! is always there. Nodes are in it by name, since a trail outlives its nodes.

use std::time::{Duration, Instant};

use super::attempt::AttemptId;
use super::reason::GiveUp;
use crate::degrade::Reduction;
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::router::circuit::Turn;
use crate::table::{Change, FailureKind, NoNodeReason, PickReason};

/// The most steps that are kept of one segment.
pub const MAX_STEPS: usize = 48;

/// The record of one segment.
#[derive(Debug, Clone)]
pub struct Trail {
    begun: Instant,
    entries: Vec<Entry>,
    left_out: u32,
}

/// One step and when it was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Since the segment's begin.
    pub at: Duration,
    /// What happened.
    pub step: Step,
}

/// What happened to a segment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Not every rendition of the ladder is asked for.
    Reduced {
        /// What is asked.
        asked: Renditions,
        /// Why not more.
        why: Reduction,
    },
    /// It was submitted to a node.
    Sent(Sent),
    /// Nothing could be submitted just then.
    Waiting {
        /// What for.
        why: Wait,
    },
    /// A rendition came and was verified.
    Rendition {
        /// From which submission.
        attempt: AttemptId,
        /// Its position in the ladder.
        index: u8,
        /// It was the first of its kind, so it counts.
        counted: bool,
    },
    /// A submission ended by itself.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// The node that had it.
        node: NodeId,
        /// From sending it.
        elapsed: Duration,
        /// How.
        how: Ending,
    },
    /// A submission was cancelled.
    Cancelled {
        /// Which.
        attempt: AttemptId,
        /// The node that had it.
        node: NodeId,
        /// From sending it.
        elapsed: Duration,
        /// Why.
        why: CancelReason,
    },
    /// A second submission beside a slow one was due and was not made.
    NotHedged {
        /// Why not.
        why: NotHedged,
    },
    /// A node blamed the segment and another one transcoded it: the first one is to blame.
    Contradicted {
        /// The node that was wrong.
        node: NodeId,
    },
    /// The outcome changed a node's standing.
    Standing {
        /// Which node's.
        node: NodeId,
        /// How.
        change: Change,
    },
    /// Some renditions will not come.
    GaveUp {
        /// Which.
        renditions: Renditions,
        /// Why not.
        reason: GiveUp,
    },
    /// The stream's circuit opened: it is not transcoded for this long.
    CircuitOpened(Duration),
    /// The stream's trial segment came through: it is transcoded again.
    CircuitClosed,
}

impl Step {
    /// Whether it is only what is to be expected: not worth a line in the log.
    pub fn is_ordinary(&self) -> bool {
        match self {
            Self::Sent(sent) => sent.cause == Cause::First && sent.reason.is_ordinary(),
            Self::Rendition { counted, .. } => *counted,
            Self::Ended { how, .. } => *how == Ending::Complete,
            // Told once for all streams when the level changes, and when the circuit opens.
            Self::Reduced { .. } => true,
            Self::Waiting { .. }
            | Self::NotHedged { .. }
            | Self::Cancelled { .. }
            | Self::Contradicted { .. }
            | Self::Standing { .. }
            | Self::GaveUp { .. }
            | Self::CircuitOpened(_)
            | Self::CircuitClosed => false,
        }
    }
}

/// A submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// What it is called.
    pub attempt: AttemptId,
    /// The stream's home until now, if the stream moves to this node.
    pub moved_from: Option<NodeId>,
    /// How many submissions were taken on by a node, this one included.
    pub number: u32,
    /// To which node.
    pub node: NodeId,
    /// What for.
    pub cause: Cause,
    /// What was asked of it.
    pub renditions: Renditions,
    /// Why this node.
    pub reason: PickReason,
    /// How long it should take there.
    pub predicted: Duration,
    /// Which others there were, best first, and how long they should have taken.
    pub alternatives: [Option<(NodeId, Duration)>; 3],
}

impl From<Turn> for Step {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::Opened(length) => Self::CircuitOpened(length),
            Turn::Closed => Self::CircuitClosed,
        }
    }
}

/// What a submission was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The segment's first.
    First,
    /// The last one was refused, so nothing was done yet.
    Refused,
    /// The last one failed.
    Retry(FailureKind),
    /// The last one hangs: another node takes over.
    Overtake,
    /// The last one is slow: another node runs beside it.
    Hedge,
    /// A node blames the segment: another one has to confirm it.
    SecondOpinion,
    /// The stream is precious: a copy runs in parallel.
    Copy,
}

impl Cause {
    /// The cause as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Refused => "refused",
            Self::Retry(kind) => kind.as_str(),
            Self::Overtake => "overtake",
            Self::Hedge => "hedge",
            Self::SecondOpinion => "second-opinion",
            Self::Copy => "copy",
        }
    }
}

/// What a plan waits for before it can submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// No node can take it now.
    Node(NoNodeReason),
    /// What retries may cost is spent for the moment, or others need it more.
    Retries,
    /// What refusals may cost is spent for the moment.
    Refusals,
}

impl Wait {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node(reason) => reason.as_str(),
            Self::Retries => "retry-budget",
            Self::Refusals => "refusal-budget",
        }
    }
}

/// How a submission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything came.
    Complete,
    /// Pushed back before the body was read.
    Refused {
        /// What the node called it.
        code: &'static str,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The node blames the segment.
    Claim {
        /// What the node called it.
        code: &'static str,
    },
    /// The node failed.
    Failed(FailureKind),
}

/// Why a submission was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// All it was asked for came from another node first.
    Lost,
    /// It hangs, and another node takes over.
    Hung,
    /// The segment's deadline.
    Deadline,
    /// It is of no use any more: two nodes agree that the segment is poison.
    Poison,
    /// Nobody waits for the segment any more.
    Abandoned,
}

impl CancelReason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Hung => "hung",
            Self::Deadline => "deadline",
            Self::Poison => "poison",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Why a slow submission got no second one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotHedged {
    /// Too few slots of the fleet are free.
    NoSpare,
    /// What retries and hedges may cost is spent, or others need it more.
    Budget,
    /// What may be spent on segments that are only late is spent.
    Lateness,
    /// No other node is good, has a free slot and would be in time.
    NoNode,
}

impl NotHedged {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSpare => "no-spare-slots",
            Self::Budget => "budget",
            Self::Lateness => "lateness",
            Self::NoNode => "no-node",
        }
    }
}

impl Trail {
    /// The record of a segment that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            entries: Vec::with_capacity(4),
            left_out: 0,
        }
    }

    /// When the segment was there to be sent.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// What happened, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many steps there was no room for. They came before the last entry.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Notes a step.
    pub fn push(&mut self, step: Step, now: Instant) {
        if self.entries.len() >= MAX_STEPS {
            self.entries.pop();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.entries.push(Entry {
            at: now.saturating_duration_since(self.begun),
            step,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_is_bounded_and_keeps_its_end() {
        let t0 = Instant::now();
        let mut trail = Trail::new(t0);
        let step = |index| Step::Rendition {
            attempt: AttemptId(1),
            index,
            counted: true,
        };
        for i in 0..100u8 {
            trail.push(step(i), t0 + Duration::from_millis(i.into()));
        }
        assert_eq!(trail.entries().len(), MAX_STEPS);
        assert_eq!(trail.left_out(), 100 - MAX_STEPS as u32);
        let last = trail.entries().last().map(|e| (e.at, e.step.clone()));
        assert_eq!(last, Some((Duration::from_millis(99), step(99))));
    }
}
