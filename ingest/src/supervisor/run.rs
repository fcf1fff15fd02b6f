//! The supervisor's loop: hears its generations, the clock and the operator, asks the policy what
//! follows, and does it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use rackcast_service::process::InheritError;
use rackcast_service::reload::{Hangups, Live};
use rackcast_service::status as socket;
use rackcast_service::{drain, notify};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::control::Report;
use super::held::{Judged, Supervisor};
use super::member::{Ended, Folder, Member};
use super::resume::{ResumeError, State};
use super::{BindError, Listeners, status};
use crate::config::Config;

/// With nothing to do, the clock is looked at so often.
const IDLE: Duration = Duration::from_secs(60);
/// Who wakes so much too late did not run.
const LATE: Duration = Duration::from_secs(1);
/// How long the agent may take to hear that the service has finished.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the supervisor gave up. Each needs an operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken or not ours.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket beside the status socket, or that itself, cannot be served.
    #[error("status_socket {}: {source}", path.display())]
    StatusSocket {
        /// Where it should have been.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What an earlier program of this process left cannot be taken over.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A listener of an earlier program cannot be taken over.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The system refuses what every process needs.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs until `shutdown`, replacing generations as they end.
///
/// # Errors
/// What keeps the service from starting; once it runs, nothing.
pub async fn run(live: Live<Config>, shutdown: CancellationToken) -> Result<(), Error> {
    // First of all: from here on neither signal ends the process.
    let (hangups, handovers) = (Hangups::new()?, signal(SignalKind::user_defined2())?);
    let config = live.config();
    let left = State::left()?;
    let listeners = match left {
        Some(_) => Listeners::inherit()?,
        None => Listeners::bind(&config.listen)?,
    };
    let endpoints = listeners.endpoints()?;
    for (purpose, address) in &endpoints {
        log::info!("listening for {purpose} on {address}");
    }
    let on_socket = |source| Error::StatusSocket {
        path: config.status_socket.clone(),
        source,
    };
    let folder = Folder::beside(&config.status_socket);
    folder.create().map_err(on_socket)?;
    let (status_tx, status_rx) = watch::channel(status::first(&config, &endpoints));
    let stopped = CancellationToken::new();
    let orders = drain::follow(drain::file_beside(&config.status_socket), stopped.clone());
    let shown = drain::shown(status_rx.clone(), orders);
    let mut serving =
        socket::serve(&config.status_socket, shown, stopped.clone()).map_err(on_socket)?;
    let watchdog = tokio::spawn(notify::watchdog(
        notify::advancing(move || status_rx.borrow().progress),
        stopped.clone(),
    ));

    let mut supervisor = Supervisor::new(live, listeners, folder.clone(), status_tx);
    let resumed = left.is_some();
    if let Some(left) = left {
        supervisor.resume(left)?;
    }
    supervisor
        .keep_running(resumed, hangups, handovers, &shutdown)
        .await;

    serving.farewell(FAREWELL).await;
    stopped.cancel();
    let _ = tokio::join!(serving.into_future(), watchdog);
    folder.remove();
    Ok(())
}

/// What happened.
enum Event {
    Heard(u64, Result<Report, Ended>),
    Judged(Judged),
    Reload,
    HandOver,
    Stop,
    Time,
}

impl Supervisor {
    async fn keep_running(
        &mut self,
        resumed: bool,
        mut hangups: Hangups,
        mut handovers: Signal,
        shutdown: &CancellationToken,
    ) {
        let now = Instant::now();
        let first = if resumed {
            self.set.hand_over(now)
        } else {
            self.set.tick(now)
        };
        self.carry_out(first).await;
        let mut stopping = false;
        while !self.set.is_over() {
            let wakes = self.set.wakes_at();
            let wakes = wakes
                .into_iter()
                .chain(self.pending.as_ref().map(|p| p.until));
            let wakes = wakes.min().unwrap_or_else(|| Instant::now() + IDLE);
            let began = Instant::now();
            let event = tokio::select! {
                (number, heard) = hear(&mut self.members) => Event::Heard(number, heard),
                judged = judgement(&mut self.judging) => Event::Judged(judged),
                () = hangups.next(), if !stopping => Event::Reload,
                _ = handovers.recv(), if !stopping => Event::HandOver,
                () = shutdown.cancelled(), if !stopping => Event::Stop,
                () = tokio::time::sleep_until(wakes.into()) => Event::Time,
            };
            // Whoever froze this process froze the generations too: they are heard first.
            let late = Instant::now().saturating_duration_since(wakes.max(began));
            if late > LATE {
                self.set.lost(late);
            }
            stopping |= matches!(event, Event::Stop);
            self.take(event).await;
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Heard(number, Ok(report)) => self.heard(number, report).await,
            Event::Heard(number, Err(ended)) => self.ended(number, &ended.to_string()).await,
            Event::Judged(judged) => {
                self.judging = None;
                self.judged(judged).await;
            }
            Event::Reload => self.reload().await,
            Event::HandOver => self.ask_for_hand_over(),
            Event::Stop => {
                notify::stopping();
                self.status.send_modify(|s| s.draining = true);
                let orders = self.set.stop(Instant::now());
                self.carry_out(orders).await;
            }
            Event::Time => {
                self.give_up_waiting();
                let orders = self.set.tick(Instant::now());
                self.carry_out(orders).await;
            }
        }
    }

    async fn heard(&mut self, number: u64, report: Report) {
        let (ready, idle) = (report.ready, report.idle);
        let reloaded = report.reloaded.clone();
        if let Some(member) = self.members.iter_mut().find(|m| m.number == number) {
            member.report = Some(report);
        }
        let orders = self.set.heard(number, ready, idle, Instant::now());
        self.carry_out(orders).await;
        if let Some(reloaded) = reloaded {
            self.reloaded(number, reloaded);
        }
        self.tell_waiting(number).await;
        // One that serves players to their end must not hide that the one that accepts hangs.
        if self.set.serving().is_none_or(|serving| serving == number) {
            self.status.send_modify(|s| s.progress += 1);
        }
        self.tell();
    }

    /// A generation is gone, or cannot be talked to any more.
    pub(super) async fn ended(&mut self, number: u64, why: &str) {
        if let Some(at) = self.members.iter().position(|m| m.number == number) {
            let mut member = self.members.swap_remove(at);
            member.kill().await;
        }
        log::log!(
            if self.set.is_ending(number) { log::Level::Info } else { log::Level::Error },
            rackcast_generation = number, rackcast_reason = why;
            "generation {number} ended: {why}"
        );
        if self.set.is_starting_as(number) {
            self.starting = None;
        }
        let orders = self.set.ended(number, Instant::now(), rand::random());
        Box::pin(self.carry_out(orders)).await;
        self.tell();
    }
}

/// What any of them says next.
async fn hear(members: &mut [Member]) -> (u64, Result<Report, Ended>) {
    if members.is_empty() {
        return std::future::pending().await;
    }
    let each = members.iter_mut().map(|member| {
        Box::pin(async {
            let number = member.number;
            (number, member.hear().await)
        })
    });
    select_all(each).await.0
}

async fn judgement(judging: &mut Option<JoinHandle<Judged>>) -> Judged {
    match judging {
        None => std::future::pending().await,
        Some(task) => task.await.unwrap_or_else(|e| Judged::Unfit(e.to_string())),
    }
}
