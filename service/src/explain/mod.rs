//! What an ingest answers when it is asked why: the schema of `GET /v1/explain...`.
//!
//! The ingest writes it, `rackcast explain` and tests read it. Everything is JSON with
//! snake_case keys and kebab-case codes. Within a version only keys, codes and kinds of step are
//! added: a reader ignores what it does not know, and a step of an unknown kind is
//! [`What::Other`]. Times that end in `_ms` are milliseconds; `_at_ms` is the wall clock since
//! the Unix epoch, everything else a length, or an age since the segment was there to be sent.

mod nodes;
mod streams;

use serde::{Deserialize, Serialize};

pub use nodes::{Budget, Fleet, NodeState, Nodes, ZoneState};
pub use streams::{LiveStream, LiveStreams};

/// The version of this schema.
pub const VERSION: u32 = 1;
/// Where it is served on an ingest's admin address.
pub const EXPLAIN_PATH: &str = "/v1/explain";
/// Where the streams are that are here now.
pub const STREAMS_PATH: &str = "/v1/streams";
/// Where the table of nodes is.
pub const NODES_PATH: &str = "/v1/nodes";

/// An answer, or a [`Problem`], with who gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// [`VERSION`].
    pub version: u32,
    /// Who answers.
    pub ingest: Ingest,
    /// When.
    pub asked_at_ms: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub content: T,
}

/// An ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingest {
    /// Its ID in the catalog.
    pub id: String,
    /// Its machine.
    pub node: String,
    /// The zone that it stands in; empty if none is named.
    pub zone: String,
}

/// Instead of an answer, with status 400, 404 or 500.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `bad-request`, `unknown-stream`, `unknown-segment` or `internal`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// `GET /v1/explain`: the streams that can be explained, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// Each stream once, whatever its epochs.
    pub streams: Vec<Stream>,
    /// How many more there was no room for.
    pub omitted: u64,
}

/// A stream in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// `APP/STREAM`.
    pub stream: String,
    /// How many of its segments are remembered.
    pub segments: u64,
    /// The oldest of them.
    pub first: u64,
    /// The newest of them.
    pub last: u64,
    /// When the newest was cut.
    pub last_at_ms: u64,
    /// The node that the newest was sent to first, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
}

/// `GET /v1/explain/APP/STREAM`: what was decided for its segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// `APP/STREAM`.
    pub stream: String,
    /// Of everything that is remembered, whichever segments were asked for.
    pub summary: Summary,
    /// The segments that were asked for, in order.
    pub segments: Vec<Segment>,
    /// How many more there was no room for; they are older.
    pub omitted: u64,
}

/// What is remembered of a stream, in figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Segments.
    pub segments: u64,
    /// The oldest.
    pub first: u64,
    /// The newest.
    pub last: u64,
    /// When the oldest was there to be sent.
    pub first_at_ms: u64,
    /// When the newest was.
    pub last_at_ms: u64,
    /// Those of which everything came that was asked.
    pub complete: u64,
    /// Those of which something came.
    pub partial: u64,
    /// Those of which nothing came.
    pub none: u64,
    /// Those of which less than the ladder was asked.
    pub reduced: u64,
    /// Requests whose body a node took.
    pub submissions: u64,
    /// Requests that a node pushed back, or that reached no node.
    pub refusals: u64,
    /// Submissions to another node beside a slow one.
    pub hedges: u64,
    /// Renditions that came and were wrong.
    pub defects: u64,
    /// The stream's moves from one node to another, in order.
    pub moves: Vec<Move>,
    /// How many older moves there was no room for.
    pub moves_omitted: u64,
}

/// A stream's segments go to another node than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The first segment that did.
    pub segment: u64,
    /// When it was cut.
    pub at_ms: u64,
    /// Where the one before had gone.
    pub from: Node,
    /// Where this one went.
    pub to: Node,
    /// Why.
    pub why: Why,
}

/// A transcode node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its ID in the catalog.
    pub id: String,
    /// Its zone, if that is known (still) and has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A reason: for programs, and for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// One of a fixed list.
    pub code: String,
    /// The failure behind it, where there is one: `connect`, `timed-out`, `wrong-media`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The same in a few words, with its figures.
    pub text: String,
}

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
