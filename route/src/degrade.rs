//! Which renditions to ask for when the fleet cannot carry all.

use std::time::Duration;

/// Why not every rendition of a ladder is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The fleet cannot carry more: the level of degradation, in thousandths of a rung.
    Overload {
        /// 2500: two rungs of every stream are left out, and a third one of half of them.
        level: u32,
    },
    /// The stream's segments kept failing: it is not transcoded for so long yet.
    Circuit {
        /// Time left.
        left: Duration,
    },
}

impl Reduction {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overload { .. } => "degraded",
            Self::Circuit { .. } => "circuit",
        }
    }
}
