//! Unix sockets that a daemon is asked at: bound over what a dead process left, removed at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Owner and group may connect: everything of Rackcast on a machine is in one group.
const SOCKET_MODE: u32 = 0o660;

/// The file of a socket; it goes with the value.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

/// Listens on a unix socket that its owner and its group may connect to. Must be called within a
/// tokio runtime.
///
/// A socket that a dead process left behind is replaced; one that is served is not.
///
/// # Errors
/// It cannot be bound: its directory is missing, its path is too long (107 bytes), or another
/// process serves it.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok((listener, file))
}

/// A socket that nobody listens on. Anything else at the path is not ours to remove.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{} could not be removed: {error}", self.0.display());
        }
    }
}
