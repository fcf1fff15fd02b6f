//! The service's side of the status socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use http::StatusCode;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ServiceStatus;
use crate::http::{self as server, Answer, content, text};

/// Owner and group may connect: the agent is in the services' group.
const SOCKET_MODE: u32 = 0o660;

/// Serves the newest status on a unix socket until `shutdown`, then removes the socket. Must be
/// called within a tokio runtime.
///
/// A socket that a dead process left behind is replaced; one that is served is not.
///
/// # Errors
/// The socket cannot be bound: its directory is missing, its path is too long (107 bytes), or
/// another process serves it.
pub fn serve(
    path: &Path,
    status: watch::Receiver<ServiceStatus>,
    shutdown: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let listener = bind(path)?;
    let socket = Socket(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    let answer = move |uri: http::Uri| {
        std::future::ready(match uri.path() {
            "/status" => Some(answer(&status.borrow())),
            _ => None,
        })
    };
    Ok(tokio::spawn(async move {
        server::serve(listener, answer, shutdown).await;
        drop(socket);
    }))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// A socket that nobody listens on. Anything else at the path is not ours to remove.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn answer(status: &ServiceStatus) -> Answer {
    match serde_json::to_vec(status) {
        Ok(body) => content(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Removes the socket's file however serving ends.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{} could not be removed: {error}", self.0.display());
        }
    }
}
