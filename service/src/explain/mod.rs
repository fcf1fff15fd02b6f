//! What an ingest answers when it is asked why: the schema of `GET /v1/explain...`.
//!
//! The ingest writes it, `rackcast explain` and tests read it. Everything is JSON with
//! snake_case keys and kebab-case codes. Within a version only keys, codes and kinds of step are
//! added: a reader ignores what it does not know, and a step of an unknown kind is
//! [`What::Other`]. Times that end in `_ms` are milliseconds; `_at_ms`, and `at_ms` of a move, are the
//! wall clock since the Unix epoch, everything else a length, or an age since the segment was there
//! to be sent.

mod nodes;
mod segment;
mod streams;

use serde::{Deserialize, Serialize};

pub use nodes::{Budget, Fleet, NodeState, Nodes, ZoneState};
pub use segment::{Alternative, End, Outcome, Rendition, Segment, Step, What};
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
