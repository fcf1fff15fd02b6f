//! What memory may cost, in the order in which it is given up.

/// What may be given up, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// A presentation that ended.
    Ended,
    /// A segment that is kept for slow players.
    Kept,
    /// A listed segment that the rules of HLS can do without.
    Listed,
    /// A listed segment that is not its stream's newest.
    Needed,
}

impl Loss {
    pub(super) const ALL: [Self; 4] = [Self::Ended, Self::Kept, Self::Listed, Self::Needed];

    /// As a metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Kept => "kept",
            Self::Listed => "listed",
            Self::Needed => "needed",
        }
    }
}
