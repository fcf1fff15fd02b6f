//! Which slot a worker stands in.

use crate::admission::SlotId;

/// A slot, and its number among all of the node, as logs and lists of processes know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Post {
    /// Of which device, and which of it.
    pub id: SlotId,
    /// From 0.
    pub number: usize,
}
