//! Where a stream's segments go.

use super::slab::NodeRef;

/// A stream's node, and what speaks for another one. Belongs to the stream; the table hands
/// out the next one with every [`Choice`](super::Choice).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Home {
    pub(super) node: NodeRef,
}

impl Home {
    /// The node.
    pub fn node(&self) -> NodeRef {
        self.node
    }
}
