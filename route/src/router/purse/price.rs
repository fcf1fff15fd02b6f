use std::time::Instant;

/// What a submission costs, and how much depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    /// Some node took the segment on before.
    pub(crate) retry: bool,
    /// The submission before was refused.
    pub(crate) refusal: bool,
    /// Who goes first.
    pub(crate) need: Need,
    /// When the segment is lost.
    pub(crate) deadline: Instant,
}

/// What a submission beyond the first is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Without it the segment is lost, or probably is.
    Loss,
    /// A second opinion: the segment may be lost whatever is done.
    Doubt,
    /// Its node is slow, so that the segment will be late.
    Slow,
    /// Its node is on trial, and may turn out to be no better.
    Trial,
    /// The segment is late, and nothing else is against its node: keeps to a part of the
    /// budget.
    Lateness,
}

/// Which budget is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    Retries,
    /// The part of it that may be spent on what is only late.
    Lateness,
    Refusals,
}
