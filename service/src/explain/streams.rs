//! `GET /v1/streams`: what an ingest carries now.

use serde::{Deserialize, Serialize};

use super::Node;

/// The streams that an ingest carries, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStreams {
    /// Each of them.
    pub streams: Vec<LiveStream>,
    /// How many more there was no room for.
    pub omitted: u64,
}

/// A stream with a publisher, or waiting for it to return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStream {
    /// `APP/STREAM`.
    pub stream: String,
    /// When it was begun.
    pub since_ms: u64,
    /// The publisher's address; none while the stream waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Since when it is there, or gone.
    pub publisher_since_ms: u64,
    /// The epoch, from the first segment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// What transcode nodes call it in this epoch, in their logs too: they do not know its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Names of the renditions that are made beside the source.
    pub renditions: Vec<String>,
    /// Of how many of its last segments the next figure tells; 30 at most.
    pub recent: u64,
    /// Those of which everything came that was asked.
    pub complete: u64,
    /// The newest segment that was sent out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Where the last segments went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
}
