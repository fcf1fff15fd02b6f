//! Why media becomes no file.

use rackcast_segment::ts;

/// Why media cannot be packaged. What it was made of is at fault; a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Not whole MPEG-TS packets.
    #[error("not a sequence of MPEG-TS packets")]
    NotTs,
    /// A segment that cannot follow the one before it.
    #[error("the segment cannot be made to follow the one before it: {0}")]
    Follow(#[from] ts::TsError),
}
