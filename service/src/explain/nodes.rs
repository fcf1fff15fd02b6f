//! The table of transcode nodes as one ingest sees it: `GET /v1/nodes`.

use serde::{Deserialize, Serialize};

use super::Why;

/// Everything that this ingest's choices rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nodes {
    /// What it may count on altogether.
    pub fleet: Fleet,
    /// What retries, hedges and push-back may still cost.
    pub budgets: Vec<Budget>,
    /// Zones, by name.
    pub zones: Vec<ZoneState>,
    /// Nodes, by ID.
    pub nodes: Vec<NodeState>,
    /// How many more there was no room for.
    pub omitted: u64,
}

/// The nodes in this ingest's share of the fleet, taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Slots of the nodes that may be given work.
    pub slots: u64,
    /// Of those, the ones without a job.
    pub free: u64,
    /// Million output pixels a second that they make for this ingest.
    pub megapixels_per_second: f64,
    /// How much of every ladder is asked for at present.
    pub degradation: Why,
    /// Streams that are not transcoded for a while because their segments kept failing.
    pub circuits_open: u64,
}

/// Something that is rationed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// `retries` or `refusals`.
    pub name: String,
    /// Submissions that it would pay at this instant.
    pub left: u64,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneState {
    /// Its name; empty for the nodes that name none.
    pub zone: String,
    /// Its nodes in this ingest's share of the fleet.
    pub nodes: u64,
    /// Of those, the ones in good standing.
    pub good: u64,
    /// For how much longer it is left as a whole, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_for_ms: Option<u64>,
    /// That time is over: its next segment decides.
    #[serde(default)]
    pub on_trial: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its ID in the catalog.
    pub id: String,
    /// Its zone; empty if it names none.
    pub zone: String,
    /// Where it takes segments.
    pub address: String,
    /// Whom its certificate must name before it gets any, where TLS is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// How far that certificate says it is trusted: `trusted`, `third-party`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Whether it is in this ingest's share of the fleet.
    pub in_subset: bool,
    /// How it stands: `good`, `ejected`, `blocked`, ...
    pub standing: Why,
    /// For how much longer it stands so, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Segments of this ingest that it has.
    pub in_flight: u64,
    /// Streams of this ingest that live on it.
    #[serde(default)]
    pub streams: u64,
    /// Jobs that it has from others, as it says.
    pub others: u64,
    /// Slots that it is believed to have.
    pub slots: u64,
    /// Milliseconds that a million output pixels take on the idle node, as measured.
    pub ms_per_megapixel: f64,
    /// The network's part of a segment's time, in milliseconds.
    pub network_ms: f64,
    /// Failures in a row.
    pub failures: u64,
}
