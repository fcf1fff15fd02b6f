//! Whether files are other ones than a moment ago, without reading them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::credential;

/// One look at three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tls) struct Stamp([Option<Seen>; 3]);

/// A file, without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Device and inode: a rename puts another file there.
    place: (u64, u64),
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    length: u64,
}

impl Stamp {
    /// The files as they stand in the file system now; each may be missing.
    pub(super) fn of(files: [Option<&Path>; 3]) -> Self {
        Self(files.map(|path| {
            let found = std::fs::metadata(credential(path?)).ok()?;
            Some(Seen {
                place: (found.dev(), found.ino()),
                changed: (found.mtime(), found.mtime_nsec()),
                length: found.len(),
            })
        }))
    }
}
