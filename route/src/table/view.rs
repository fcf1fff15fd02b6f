//! What the table tells of its nodes and zones, for status pages, metrics and logs.

use std::time::{Duration, Instant};

use super::reason::FailureKind;
use super::slab::NodeRef;
use crate::member::Member;

/// How a node stands with this ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was measured yet.
    Unmeasured,
    /// Its last results were good.
    Good,
    /// It came back and gets more and more; so much of its share, in percent.
    Returning(u8),
    /// A request that it has is overdue.
    Overdue,
    /// Its last request failed.
    Failed,
    /// It asked to be left alone until then.
    Blocked(Instant),
    /// It is left alone until then.
    Ejected(FailureKind, Instant),
    /// Its ejection is over and its next segment decides.
    Trial,
    /// Its zone as a whole is left.
    ZoneLeft,
    /// It says that it drains.
    Draining,
}

impl Standing {
    /// The standing as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmeasured => "unmeasured",
            Self::Good => "good",
            Self::Returning(_) => "returning",
            Self::Overdue => "overdue",
            Self::Failed => "failed",
            Self::Blocked(_) => "blocked",
            Self::Ejected(..) => "ejected",
            Self::Trial => "trial",
            Self::ZoneLeft => "zone-left",
            Self::Draining => "draining",
        }
    }
}

/// What the table knows of a node.
#[derive(Debug, Clone)]
pub struct NodeView<'a> {
    /// Its handle.
    pub node: NodeRef,
    /// What the catalog says.
    pub member: &'a Member,
    /// Whether it is in this ingest's share of the fleet.
    pub in_subset: bool,
    /// How it stands.
    pub standing: Standing,
    /// Our segments in flight.
    pub in_flight: u32,
    /// Jobs that it said it has from others, while that is fresh.
    pub others: u32,
    /// Slots that are believed.
    pub slots: u32,
    /// Seconds that a million output pixels take on the idle node, as predicted now.
    pub seconds_per_megapixel: f64,
    /// The network's part of a segment's time.
    pub network: Duration,
    /// Failures in a row.
    pub failures: u32,
}

/// What the table knows of a zone.
#[derive(Debug, Clone)]
pub struct ZoneView<'a> {
    /// Its name; empty for nodes that name none.
    pub name: &'a str,
    /// Its nodes in this ingest's share of the fleet.
    pub nodes: u32,
    /// Of those, the ones in good standing.
    pub good: u32,
    /// Until when the zone is left as a whole.
    pub left_until: Option<Instant>,
}

/// What this ingest may count on, over its share of the fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Slots of the nodes that may be given work.
    pub slots: u32,
    /// Of those, the ones without a job.
    pub free: u32,
    /// Output pixels a second that those nodes make for this ingest: believed slots less what
    /// others take, over the measured seconds per pixel.
    pub pixel_rate: f64,
}
