//! The supervisor's loop: start a generation, watch it, replace it.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use rackcast_service::frame::{FrameError, Framed};
use rackcast_service::notify;
use rackcast_service::process::{Backoff, Child, Command};
use rackcast_service::status::{self as socket, Health, ServiceStatus};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::control::{CONTROL_FD, Order, Report};
use super::{BindError, Listeners, status};
use crate::config::Config;

/// Why the supervisor gave up. Each needs an operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken or not ours.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The status socket cannot be served.
    #[error("status_socket {}: {source}", path.display())]
    StatusSocket {
        /// Where it should have been.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses what every process needs.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs until `shutdown`, replacing generations as they end.
///
/// # Errors
/// What keeps the service from starting; once it runs, nothing.
pub async fn run(
    config: &Config,
    config_file: &Path,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listeners = Listeners::bind(&config.listen)?;
    let endpoints = listeners.endpoints()?;
    for (purpose, address) in endpoints {
        log::info!("listening for {purpose} on {address}");
    }
    let (status_tx, status_rx) = watch::channel(status::first(config, &endpoints));
    let stopped = CancellationToken::new();
    let serving = socket::serve(&config.status_socket, status_rx.clone(), stopped.clone())
        .map_err(|source| Error::StatusSocket {
            path: config.status_socket.clone(),
            source,
        })?;
    let watchdog = tokio::spawn(notify::watchdog(
        notify::advancing(move || status_rx.borrow().progress),
        stopped.clone(),
    ));

    let supervisor = Supervisor {
        config,
        config_file,
        listeners,
        status: status_tx,
    };
    supervisor.keep_running(&shutdown).await;

    notify::stopping();
    stopped.cancel();
    let _ = tokio::join!(serving, watchdog);
    Ok(())
}

struct Supervisor<'a> {
    config: &'a Config,
    config_file: &'a Path,
    listeners: Listeners,
    status: watch::Sender<ServiceStatus>,
}

/// How a generation ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it could not be started: {0}")]
    NotStarted(io::Error),
    #[error("it exited with {0}")]
    Exited(String),
    #[error("it said nothing for {0:?} and was killed")]
    Silent(std::time::Duration),
    #[error("its control socket failed ({0}) and it was killed")]
    Control(FrameError),
    #[error("it was told to stop")]
    Stopped,
}

impl Supervisor<'_> {
    async fn keep_running(&self, shutdown: &CancellationToken) {
        let backoff = Backoff::default();
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let ended = match self.start() {
                Ok((child, control)) => self.watch(child, control, shutdown).await,
                Err(e) => Ended::NotStarted(e),
            };
            if matches!(ended, Ended::Stopped) {
                return;
            }
            self.tell(|s| {
                s.ready = false;
                s.health = Health::critical("no generation is running");
            });
            failures = backoff.failures_after(failures, began.elapsed());
            let delay = backoff.delay(failures, rand::random());
            log::error!(
                rackcast_reason = ended.to_string();
                "the generation ended: {ended}; another starts in {delay:?}"
            );
            if shutdown
                .run_until_cancelled(tokio::time::sleep(delay))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Starts a generation from the binary on disk, which an upgrade may have replaced.
    fn start(&self) -> io::Result<(Child, Framed)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let command = Command::new(own_binary()?)
            .arg("--config")
            .arg(self.config_file)
            .arg("generation")
            .fd(CONTROL_FD, theirs);
        let child = self.listeners.give(command)?.spawn()?;
        Ok((child, Framed::new(UnixStream::from_std(ours)?)))
    }

    async fn watch(
        &self,
        mut child: Child,
        mut control: Framed,
        shutdown: &CancellationToken,
    ) -> Ended {
        let silence = self.config.supervisor.silence;
        loop {
            tokio::select! {
                report = tokio::time::timeout(silence, control.recv::<Report>()) => match report {
                    Ok(Ok(Some((report, _)))) => self.heard(report),
                    // It is exiting: how, `wait` says.
                    Ok(Ok(None)) => return exit(&mut child).await,
                    Ok(Err(e)) => return kill(&mut child, Ended::Control(e)).await,
                    Err(_) => return kill(&mut child, Ended::Silent(silence)).await,
                },
                () = shutdown.cancelled() => {
                    self.stop(child, control).await;
                    return Ended::Stopped;
                }
            }
        }
    }

    fn heard(&self, report: Report) {
        let was_ready = self.status.borrow().ready;
        if report.ready && !was_ready {
            log::info!("the generation is ready");
            notify::ready();
        }
        self.tell(|s| {
            s.ready = report.ready;
            s.health = report.health;
            s.progress += 1;
        });
    }

    /// Tells the generation to stop and waits for it, within bounds.
    async fn stop(&self, mut child: Child, mut control: Framed) {
        self.tell(|s| s.draining = true);
        let grace = self.config.supervisor.stop_grace;
        let polite = async {
            control
                .send(&Order::Stop, Bytes::new())
                .await
                .map_err(io::Error::other)?;
            // Its reports are read on so that it never waits for room to write one.
            while let Ok(Some(_)) = control.recv::<Report>().await {}
            child.wait().await
        };
        match tokio::time::timeout(grace, polite).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => log::warn!("the generation could not be told to stop: {e}"),
            Err(_) => log::warn!("the generation did not stop within {grace:?} and is killed"),
        }
        // Dropping the child kills what is left of it.
    }

    fn tell(&self, change: impl FnOnce(&mut ServiceStatus)) {
        self.status.send_modify(change);
    }
}

async fn exit(child: &mut Child) -> Ended {
    match child.wait().await {
        Ok(status) => Ended::Exited(status.to_string()),
        Err(e) => Ended::Exited(e.to_string()),
    }
}

async fn kill(child: &mut Child, why: Ended) -> Ended {
    if let Err(e) = child.kill() {
        log::error!("a generation could not be killed: {e}");
    }
    let _ = child.wait().await;
    why
}

/// The path of this binary; what stands there after an upgrade, not what was started.
fn own_binary() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    // Linux names a replaced binary "PATH (deleted)".
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), PathBuf::from))
}
