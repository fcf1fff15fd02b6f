//! The service's side of the status socket.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::ServiceStatus;
use crate::http::{self as server, Answer, content, text};
use crate::socket;
use crate::vital;

/// A status socket that is served.
#[derive(Debug)]
pub struct Serving {
    task: JoinHandle<()>,
    told: watch::Receiver<Told>,
}

/// What the last one who asked was told.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    at: Option<Instant>,
    draining: bool,
}

/// Who has not asked for so long is no agent of this machine.
const RECENT: Duration = Duration::from_secs(5);

/// Serves the newest status on a unix socket until `shutdown`, then removes the socket. Must be
/// called within a tokio runtime.
///
/// # Errors
/// As [`socket::bind`].
pub fn serve(
    path: &Path,
    status: watch::Receiver<ServiceStatus>,
    shutdown: CancellationToken,
) -> io::Result<Serving> {
    let (listener, file) = socket::bind(path)?;
    let (tell, told) = watch::channel(Told::default());
    let (moved, last_moved) = watch::channel(Instant::now());
    let following = follow(status.clone(), moved);
    let answer = move |uri: http::Uri| {
        std::future::ready((uri.path() == "/status").then(|| {
            let mut status = status.borrow().clone();
            let still = last_moved.borrow().elapsed().as_millis();
            status.still_ms = Some(u64::try_from(still).unwrap_or(u64::MAX));
            tell.send_replace(Told {
                at: Some(Instant::now()),
                draining: status.draining,
            });
            answer(&status)
        }))
    };
    let until = shutdown.clone();
    let task = vital::spawn("the status socket", &until, async move {
        tokio::select! {
            () = server::serve(listener, answer, shutdown) => {}
            never = following => match never {},
        }
        drop(file);
    });
    Ok(Serving { task, told })
}

impl Serving {
    /// Waits until somebody was told that the service drains, for `limit` at most. A service that
    /// has finished does so before it goes: its agent then knows a stop from a crash. Without an
    /// agent, which asks all the time, there is nobody to wait for.
    pub async fn farewell(&mut self, limit: Duration) {
        let last = self.told.borrow().at;
        if last.is_some_and(|at| at.elapsed() < RECENT) {
            let heard = self.told.wait_for(|told| told.draining);
            let _ = tokio::time::timeout(limit, heard).await;
        }
    }
}

/// Awaited, it is the end of serving.
impl IntoFuture for Serving {
    type Output = Result<(), JoinError>;
    type IntoFuture = JoinHandle<()>;

    fn into_future(self) -> Self::IntoFuture {
        self.task
    }
}

/// Notes when the progress moves.
async fn follow(
    mut status: watch::Receiver<ServiceStatus>,
    moved: watch::Sender<Instant>,
) -> Infallible {
    let mut last = status.borrow_and_update().progress;
    while status.changed().await.is_ok() {
        let progress = status.borrow_and_update().progress;
        if progress != last {
            last = progress;
            moved.send_replace(Instant::now());
        }
    }
    // Who told of it is gone; that it moves no more is true.
    std::future::pending().await
}

fn answer(status: &ServiceStatus) -> Answer {
    match serde_json::to_vec(status) {
        Ok(body) => content(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
