//! Why a job was not let in.

use std::time::Duration;

use rackcast_segment::wire::reply::RefusalCode;

/// A job was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub cause: Cause,
    /// When asking again may help.
    pub retry_after: Duration,
}

/// The reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The node finishes its work.
    Draining,
    /// No slot has a worker.
    NoDevice,
    /// Every slot and the place behind it are taken.
    NoSlot,
    /// The caller, or the job's size, has its share of the places, and others want theirs.
    Share,
    /// No device has what it takes.
    Unsupported,
    /// It would be late, or make another late.
    DeadlineTooClose,
}

impl Cause {
    /// As the wire knows it.
    pub fn code(self) -> RefusalCode {
        match self {
            Self::Draining => RefusalCode::Draining,
            Self::NoDevice => RefusalCode::NoDevice,
            Self::NoSlot | Self::Share => RefusalCode::NoSlot,
            Self::Unsupported => RefusalCode::Unsupported,
            Self::DeadlineTooClose => RefusalCode::DeadlineTooClose,
        }
    }

    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            other => other.code().as_str(),
        }
    }

    /// On a larger machine it would have been let in.
    pub(super) fn is_for_want_of_room(self) -> bool {
        matches!(self, Self::NoSlot | Self::Share | Self::DeadlineTooClose)
    }
}
