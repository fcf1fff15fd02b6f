//! What is asked, by whom, and what it is called once it was admitted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::speed::Work;

/// An admitted job's name within this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

impl From<Ticket> for u64 {
    fn from(ticket: Ticket) -> Self {
        ticket.0
    }
}

/// Who asks: what its certificate names, or the address that it calls from.
pub type Caller = Arc<str>;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// By whom.
    pub caller: Caller,
    /// When the answer is worthless.
    pub deadline: Instant,
    /// What it costs.
    pub work: Work,
    /// How long the segment plays.
    pub media: Duration,
    /// What its pipeline is bound to; `None` if that is kept by no worker.
    pub pipeline: Option<Affinity>,
    /// It takes a device that has HEVC.
    pub hevc: bool,
}

/// A slot of a device, both by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId {
    /// The device.
    pub device: usize,
    /// The slot of it.
    pub slot: usize,
}

/// What a job's pipeline is bound to, hashed: jobs that agree in it can use the same one.
pub type Affinity = u64;
