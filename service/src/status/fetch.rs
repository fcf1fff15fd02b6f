//! The reader's side of the status socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Role, ServiceStatus};

/// How long a service may take to answer: it has the answer at hand.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The largest status that is read, in bytes.
const MAX_STATUS: usize = 256 * 1024;

/// Why a service's status could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody listens at the socket: the service does not run, or its socket is elsewhere.
    #[error("the service does not listen on its status socket: {0}")]
    Absent(io::Error),
    /// It could not be asked: it has more callers than it takes, or the asker may open nothing more.
    #[error("the service's status socket could not be connected to: {0}")]
    Connect(io::Error),
    /// The service did not answer within two seconds: it hangs.
    #[error("the service did not answer on its status socket within {TIMEOUT:?}")]
    Timeout,
    /// The conversation failed.
    #[error("the service's status could not be read: {0}")]
    Http(Box<dyn std::error::Error + Send + Sync>),
    /// The service answered with an error.
    #[error("the service answered {0} on its status socket")]
    Refused(StatusCode),
    /// Whoever listens there is not who may say so.
    #[error("user {uid} listens on the socket and calls itself {role}, which that user is not")]
    Stranger {
        /// The number of the user.
        uid: u32,
        /// What it calls itself.
        role: Role,
    },
    /// The answer is no status that this version understands.
    #[error("the service's status is not understood: {0}")]
    Decode(#[from] serde_json::Error),
}

impl FetchError {
    /// Nobody listens there, as opposed to a service that is ill.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}

/// Asks the service behind the socket for its status.
///
/// # Errors
/// Nobody listens there, or the answer is late, too large or not understood. A later call may
/// succeed in every case.
pub async fn fetch(path: &Path) -> Result<ServiceStatus, FetchError> {
    fetch_from(path, |_, _| true).await
}

/// The same where not everybody's word counts: `believed` says whether the user of this number may be
/// this service.
///
/// # Errors
/// As those of [`fetch`], and the answer is of somebody else.
pub async fn fetch_from(
    path: &Path,
    believed: impl Fn(u32, Role) -> bool,
) -> Result<ServiceStatus, FetchError> {
    let asked = async {
        let stream = UnixStream::connect(path).await.map_err(unconnected)?;
        // Of whoever began to listen, not of who may have been given the socket since.
        let uid = stream.peer_cred().map_err(failed)?.uid();
        let status = ask(stream).await?;
        let role = status.role;
        match believed(uid, role) {
            true => Ok(status),
            false => Err(FetchError::Stranger { uid, role }),
        }
    };
    tokio::time::timeout(TIMEOUT, asked)
        .await
        .unwrap_or(Err(FetchError::Timeout))
}

async fn ask(stream: UnixStream) -> Result<ServiceStatus, FetchError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let exchange = async {
        let request = Request::get("/status")
            .header("host", "localhost")
            .body(Empty::<Bytes>::new());
        let answer = sender
            .send_request(request.map_err(failed)?)
            .await
            .map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Refused(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_STATUS).collect().await;
        Ok(serde_json::from_slice(
            &body.map_err(FetchError::Http)?.to_bytes(),
        )?)
    };
    // The connection is driven beside the exchange and dropped with it. It may end first, with
    // the answer already read.
    tokio::select! {
        result = exchange => result,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    }
}

/// No socket, and one that nobody has open any more, are all that says that nobody is there.
fn unconnected(error: io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => FetchError::Absent(error),
        _ => FetchError::Connect(error),
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    FetchError::Http(error.into())
}
