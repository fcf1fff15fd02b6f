//! The child's side of [`Command::fd`](super::Command::fd).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::net::UnixStream;

/// The variable that carries `name=number,...` from parent to child.
pub(super) const FDS_VARIABLE: &str = "RACKCAST_FDS";

/// Why an inherited file descriptor cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// The parent handed nothing over under this name, or it was taken before.
    #[error(
        "no file descriptor {0:?} was handed over; this process is meant to be started by its \
         supervisor, not by hand"
    )]
    Missing(String),
    /// The descriptor is there but cannot be used.
    #[error("the inherited file descriptor {name:?} cannot be used: {source}")]
    Unusable {
        /// The name under which it was handed over.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Takes the file descriptor that the parent handed over under this name. Each can be taken once.
///
/// The first call marks all inherited descriptors close-on-exec: make it before starting any
/// process.
///
/// # Errors
/// [`InheritError::Missing`] if there is none of that name.
pub fn inherited(name: &str) -> Result<OwnedFd, InheritError> {
    static INHERITED: OnceLock<Mutex<BTreeMap<String, OwnedFd>>> = OnceLock::new();
    INHERITED
        .get_or_init(|| Mutex::new(collect(&std::env::var(FDS_VARIABLE).unwrap_or_default())))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(name)
        .ok_or_else(|| InheritError::Missing(name.to_owned()))
}

/// Takes an inherited unix socket, ready for use within a tokio runtime.
///
/// # Errors
/// As [`inherited`], and [`InheritError::Unusable`] if it is no socket.
pub fn inherited_stream(name: &str) -> Result<UnixStream, InheritError> {
    let stream = std::os::unix::net::UnixStream::from(inherited(name)?);
    stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream))
        .map_err(|source| InheritError::Unusable {
            name: name.to_owned(),
            source,
        })
}

/// Every descriptor of the list that is open, owned.
fn collect(list: &str) -> BTreeMap<String, OwnedFd> {
    let mut taken = BTreeMap::new();
    for (name, number) in list.split(',').filter_map(|entry| entry.split_once('=')) {
        if let Some(fd) = number.parse().ok().and_then(adopt) {
            taken.entry(name.to_owned()).or_insert(fd);
        }
    }
    taken
}

fn adopt(number: RawFd) -> Option<OwnedFd> {
    // The standard streams belong to the standard library.
    if number <= 2 {
        return None;
    }
    // SAFETY: only used to ask whether the number is open, which fails with EBADF otherwise.
    #[allow(unsafe_code)]
    let probe = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(probe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    // SAFETY: the number is open and, by the contract of `RACKCAST_FDS`, handed over to this
    // process to own; `inherited` reads the variable once, so it is adopted once.
    #[allow(unsafe_code)]
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
