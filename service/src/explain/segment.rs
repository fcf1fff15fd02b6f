//! The story of one segment, step by step.

use serde::{Deserialize, Serialize};

use super::{Node, Why};

/// What was decided for one segment, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The stream's life that it belongs to.
    pub epoch: u64,
    /// Its sequence number: HLS's media sequence number.
    pub segment: u64,
    /// When it was there to be sent.
    pub began_at_ms: u64,
    /// Duration of its media.
    pub media_ms: u64,
    /// When its renditions had to be there.
    pub deadline_ms: u64,
    /// Bytes that were to be sent.
    pub input_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// When the last rendition came, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turnaround_ms: Option<u64>,
    /// Requests whose body a node took.
    pub submissions: u64,
    /// The ladder, top rung first.
    pub renditions: Vec<Rendition>,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// How many steps there was no room for; they came before the last one.
    pub steps_omitted: u64,
}

/// How a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything came that was asked.
    Complete,
    /// Something came.
    Partial,
    /// Nothing came, or nothing was asked.
    None,
}

/// A rendition of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its name.
    pub name: String,
    /// Its output pixels.
    pub pixels: u64,
    /// What became of it.
    #[serde(flatten)]
    pub end: End,
}

/// What became of a rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// It came and was right.
    Ready {
        /// From which submission.
        attempt: u32,
        /// When.
        after_ms: u64,
    },
    /// It did not come: players see a gap.
    Missing {
        /// Why not.
        why: Why,
    },
    /// It was not asked for: players see a gap.
    LeftOut {
        /// Why not.
        why: Why,
    },
    /// Something that a later version knows.
    #[serde(other)]
    Other,
}

/// Something that happened to a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When, since the segment was there to be sent.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// Less than the ladder is asked for.
    Reduced {
        /// What is asked.
        renditions: Vec<String>,
        /// Why not more.
        why: Why,
    },
    /// It was sent to a node.
    Sent {
        /// What this submission is called below.
        attempt: u32,
        /// To which.
        node: Node,
        /// What for: `first`, `hedge`, `retry`, ...
        cause: Why,
        /// Why this node.
        why: Why,
        /// How long it should take there.
        predicted_ms: u64,
        /// What was asked of it.
        renditions: Vec<String>,
        /// Other nodes that came into question, best first.
        alternatives: Vec<Alternative>,
    },
    /// It could not be sent just then.
    Waiting {
        /// What for.
        why: Why,
    },
    /// A rendition came and was verified.
    Rendition {
        /// From which submission.
        attempt: u32,
        /// Which.
        rendition: String,
        /// It was the first of its kind, so players get it.
        counted: bool,
    },
    /// Everything came that was asked of a submission.
    Complete {
        /// Of which.
        attempt: u32,
        /// From which node.
        node: Node,
        /// How long it took.
        took_ms: u64,
        /// How long it waited for a worker, as the node says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue_ms: Option<u64>,
        /// How long a worker had it, as the node says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        work_ms: Option<u64>,
    },
    /// The node pushed back before it took the body.
    Refused {
        /// Which submission.
        attempt: u32,
        /// The node.
        node: Node,
        /// What it called it.
        code: String,
        /// How long it asked to be left alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The node says that the segment cannot be transcoded.
    Claimed {
        /// In answer to which submission.
        attempt: u32,
        /// The node.
        node: Node,
        /// What it called it.
        code: String,
    },
    /// The node failed.
    Failed {
        /// At which submission.
        attempt: u32,
        /// The node.
        node: Node,
        /// How: `connect`, `timed-out`, `wrong-media`, ...
        why: Why,
        /// How long it had it.
        took_ms: u64,
        /// What exactly was wrong, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The request was cancelled, which frees the node's slot.
    Cancelled {
        /// Which.
        attempt: u32,
        /// The node.
        node: Node,
        /// Why.
        why: Why,
        /// How long it had it.
        took_ms: u64,
    },
    /// A second submission beside a slow one was due and was not made.
    NotHedged {
        /// Why not.
        why: Why,
    },
    /// Another node transcoded what this one said cannot be.
    Contradicted {
        /// The node that was wrong.
        node: Node,
    },
    /// A node stands differently now, by what happened here.
    Standing {
        /// Which.
        node: Node,
        /// How.
        why: Why,
    },
    /// Some renditions will not come.
    GaveUp {
        /// Which.
        renditions: Vec<String>,
        /// Why.
        why: Why,
    },
    /// The stream's circuit changed.
    Circuit {
        /// How.
        why: Why,
    },
    /// Something that a later version knows.
    #[serde(other)]
    Other,
}

/// A node that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Which.
    pub node: Node,
    /// How long it should have taken there.
    pub predicted_ms: u64,
}
