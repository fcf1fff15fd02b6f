//! Files without a name.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file in memory with this content, to be read from its start: how a text is handed to a child
/// that is to read just that, whatever becomes of the file that it came from. `name` is for whoever
/// looks into `/proc`.
///
/// # Errors
/// The system has no room for it.
pub fn memory_file(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
