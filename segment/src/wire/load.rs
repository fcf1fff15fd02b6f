//! A node's load: answer of `GET /v1/load`, part of every summary and of every refusal.

use serde::{Deserialize, Serialize};

/// How busy a node is right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Jobs that can run side by side.
    pub slots: u32,
    /// Jobs running.
    pub busy: u32,
    /// Jobs admitted and waiting.
    pub queued: u32,
    /// Output pixels a second that the node can make, as measured; 0 while unknown.
    pub pixel_rate: f64,
    /// Milliseconds until a job admitted now would begin, estimated.
    pub wait_ms: u64,
    /// The node admits nothing new.
    pub draining: bool,
}

impl Load {
    /// Slots with no job.
    pub fn free(&self) -> u32 {
        self.slots
            .saturating_sub(self.busy.saturating_add(self.queued))
    }
}
