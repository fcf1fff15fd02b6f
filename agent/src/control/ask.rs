//! The command's side of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rackcast_service::drain::Order;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{DRAIN_PATH, MACHINE_PATH, Machine, Problem, Request};

/// How long the agent may take: it writes one small file to its disk.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error(
        "the agent does not listen on {}: {source}; does rackcast-agent run, and is its socket \
         elsewhere (--control)?", path.display()
    )]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// This user may not.
    #[error(
        "this user may not control the agent at {}: be root, or in the group that \
         `control_group` names (rackcast)", path.display()
    )]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The agent said no.
    #[error("the agent refuses: {0}")]
    Refused(String),
    /// The conversation failed.
    #[error("the agent's answer could not be had: {0}")]
    Failed(String),
}

/// What the agent knows of its machine.
///
/// # Errors
/// It does not answer.
pub async fn machine(socket: &Path) -> Result<Machine, AskError> {
    ask(socket, Method::GET, MACHINE_PATH, None).await
}

/// Takes the machine out of service.
///
/// # Errors
/// The agent does not answer, or cannot keep the order.
pub async fn drain(socket: &Path, request: &Request) -> Result<Order, AskError> {
    ask(socket, Method::PUT, DRAIN_PATH, Some(request)).await
}

/// Puts the machine back to work.
///
/// # Errors
/// As [`drain`].
pub async fn resume(socket: &Path, request: &Request) -> Result<Order, AskError> {
    ask(socket, Method::DELETE, DRAIN_PATH, Some(request)).await
}

async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    request: Option<&Request>,
) -> Result<T, AskError> {
    let exchange = exchange(socket, method, path, request);
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(AskError::Failed(format!("none came within {TIMEOUT:?}"))),
    }
}

async fn exchange<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    request: Option<&Request>,
) -> Result<T, AskError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| {
        let path = socket.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => AskError::Forbidden { path },
            _ => AskError::Absent { path, source },
        }
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let exchange = async {
        let body = request.map_or(Ok(Vec::new()), serde_json::to_vec);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.map_err(failed)?)))
            .map_err(failed)?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        let good = answer.status().is_success();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(failed)?.to_bytes();
        if good {
            return serde_json::from_slice(&body).map_err(failed);
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(failed)?;
        Err(AskError::Refused(problem.message))
    };
    // The connection is driven beside the exchange and dropped with it.
    tokio::select! {
        result = exchange => result,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    }
}

fn failed(error: impl std::fmt::Display) -> AskError {
    AskError::Failed(error.to_string())
}
