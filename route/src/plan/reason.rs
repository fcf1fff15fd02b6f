use std::fmt;

use crate::table::NoNodeReason;

/// Why a rendition will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveUp {
    /// It was not there at the segment's deadline.
    Deadline,
    /// No node could be asked.
    NoNode(NoNodeReason),
    /// As many nodes failed as may be asked.
    Attempts,
    /// What retries may cost is spent.
    Budget,
    /// Two nodes say that the segment cannot be transcoded, or one does and no other may be
    /// asked.
    Poison,
    /// The fleet cannot carry it: the ladder is cut short.
    Degraded,
    /// The stream's segments keep failing: it is not transcoded for a while.
    Circuit,
    /// Too many segments are in flight.
    TooManyInFlight,
}

impl GiveUp {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::NoNode(reason) => reason.as_str(),
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Poison => "poison",
            Self::Degraded => "degraded",
            Self::Circuit => "circuit",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
