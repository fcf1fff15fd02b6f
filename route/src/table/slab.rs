//! Handles of nodes.

/// A node in the table. Cheap to copy; stale once the node has left the catalog or listens
/// elsewhere, even if another node took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeRef {
    pub(super) index: u32,
    pub(super) life: u32,
}
