//! The agent's side of the control socket.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::{Group, chown};
use rackcast_service::drain::{Order, Terms, unix_ms};
use rackcast_service::http::{Answer, content};
use rackcast_service::socket;
use rackcast_service::vital;
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::peer::Peer;
use super::{DRAIN_PATH, MACHINE_PATH, Machine, Problem, Request};
use crate::orders::{Given, Orders};

/// Operators at a time; more wait in the socket's backlog.
const MAX_CONNECTIONS: usize = 16;
/// How long an operator's command may take over its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest request, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// Pause after a failed accept, so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The control socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the control socket {} (key `control_socket`): {source}", path.display())]
pub struct BindError {
    path: PathBuf,
    source: io::Error,
}

/// What the socket gives access to.
#[derive(Debug, Clone)]
pub struct Control {
    /// Takes orders.
    pub orders: Orders,
    /// What the agent knows.
    pub machine: watch::Receiver<Machine>,
}

/// Serves the control socket until `shutdown`, to its owner and to `group`, if there is such a
/// group and it may be given the socket. Must be called within a tokio runtime.
///
/// # Errors
/// The socket cannot be bound.
pub fn serve(
    path: &Path,
    group: &str,
    control: Control,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, BindError> {
    let (listener, file) = socket::bind(path).map_err(|source| BindError {
        path: path.to_owned(),
        source,
    })?;
    give_to(path, group);
    let until = shutdown.clone();
    Ok(vital::spawn("the control socket", &until, async move {
        let accepting = accept(listener, Arc::new(control), shutdown.clone());
        shutdown.run_until_cancelled(accepting).await;
        drop(file);
    }))
}

/// A machine without the group, or an agent that may not give its socket away, is still controlled
/// by root.
fn give_to(path: &Path, group: &str) {
    let given = match Group::from_name(group) {
        Ok(Some(known)) => chown(path, None, Some(known.gid)),
        Ok(None) => return log::info!("there is no group {group}: only root controls this agent"),
        Err(error) => Err(error),
    };
    if let Err(error) = given {
        log::warn!(
            "{} cannot be given to the group {group}: {error}",
            path.display()
        );
    }
}

async fn accept(listener: UnixListener, control: Arc<Control>, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed, so there is always a permit to wait for.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (control, shutdown) = (Arc::clone(&control), shutdown.clone());
                tokio::spawn(async move {
                    shutdown
                        .run_until_cancelled(connection(stream, control))
                        .await;
                    drop(permit);
                });
            }
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, control: Arc<Control>) {
    let peer = Peer::of(&stream);
    let service = service_fn(|request| {
        let control = Arc::clone(&control);
        async move { Ok::<_, Infallible>(control.answer(peer, request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that goes away or talks nonsense is its own affair.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serving).await;
}

impl Control {
    async fn answer(&self, peer: Peer, request: http::Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        match (&head.method, head.uri.path()) {
            (&Method::GET, MACHINE_PATH) => json(StatusCode::OK, &*self.machine.borrow()),
            (&Method::PUT, DRAIN_PATH) => match read(body).await {
                Ok(request) => self.drain(peer, request).await,
                Err(why) => problem(StatusCode::BAD_REQUEST, why),
            },
            (&Method::DELETE, DRAIN_PATH) => match read(body).await {
                Ok(request) => self.give(peer, request.sudo_user.as_deref(), None).await,
                Err(why) => problem(StatusCode::BAD_REQUEST, why),
            },
            (_, MACHINE_PATH | DRAIN_PATH) => problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "GET /v1/machine, PUT and DELETE /v1/drain are understood here".to_owned(),
            ),
            _ => problem(
                StatusCode::NOT_FOUND,
                "there is nothing at this address".to_owned(),
            ),
        }
    }

    async fn drain(&self, peer: Peer, request: Request) -> Answer {
        let deadline = request.deadline_s.map(Duration::from_secs);
        let deadline = deadline.map(|left| SystemTime::now().checked_add(left));
        let deadline_ms = match deadline {
            Some(None) => {
                let why = "deadline_s is beyond the end of time".to_owned();
                return problem(StatusCode::BAD_REQUEST, why);
            }
            Some(Some(at)) => Some(unix_ms(at)),
            None => None,
        };
        let terms = Terms {
            reason: request.reason,
            deadline_ms,
        };
        self.give(peer, request.sudo_user.as_deref(), Some(terms))
            .await
    }

    async fn give(&self, peer: Peer, sudo_user: Option<&str>, drain: Option<Terms>) -> Answer {
        let by = peer.name(sudo_user);
        log::info!(
            rackcast_peer = by.as_str();
            "{} was asked for by {by} (pid {})",
            if drain.is_some() { "a drain" } else { "an end of the drain" },
            peer.pid().unwrap_or_default()
        );
        let order = Order::new(&by, drain, SystemTime::now());
        match self.orders.give(order.clone()).await {
            Ok(Given::Taken) => json(StatusCode::OK, &order),
            Ok(Given::Outdated) => problem(
                StatusCode::CONFLICT,
                format!(
                    "an order from the future holds ({}): is a clock wrong?",
                    *self.orders.subscribe().borrow()
                ),
            ),
            Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// A request's body; an empty one is a request without wishes.
async fn read(body: Incoming) -> Result<Request, String> {
    let body = Limited::new(body, MAX_REQUEST).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if body.is_empty() {
        return Ok(Request::default());
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

fn problem(status: StatusCode, message: String) -> Answer {
    json(status, &Problem { message })
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => content(status, "application/json", body),
        Err(error) => {
            log::error!("an answer cannot be written: {error}");
            let mut answer = Answer::new(Full::new(Bytes::new()));
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            answer
        }
    }
}
