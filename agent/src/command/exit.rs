//! How the command ends, for scripts.

use std::process::ExitCode;

/// The exit codes of `rackcast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, found, well.
    Yes = 0,
    /// Not done, not found, not well.
    No = 1,
    /// Nobody could be asked, or the command was not understood.
    Unasked = 2,
    /// Some of those who were asked did not answer.
    Incomplete = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
