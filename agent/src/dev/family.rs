//! The children: kept alive, and ended in order.

use std::fmt;
use std::io::{self, Write};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, select_all};
use rackcast_service::process::{self, Backoff, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::{Options, Programs};

/// How long a child may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// The longest line of a child's log that is shown, in bytes.
const MAX_LINE: usize = 16 * 1024;
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    max: Duration::from_secs(5),
    steady: Duration::from_secs(20),
};

/// How one child is started.
pub struct Member {
    /// What it is called in the log.
    pub name: String,
    /// Whether it is started again when it ends.
    pub restart: bool,
    /// Makes the command anew for each start.
    pub command: Box<dyn Fn() -> Command + Send + Sync>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a child does right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is about to be started for the first time.
    New,
    /// It runs under this process id.
    Running(u32),
    /// It ended, in these words. It may be started again.
    Ended(String),
}

/// A child that is kept running.
#[derive(Debug)]
pub(super) struct Kept {
    name: String,
    state: watch::Receiver<State>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// All children of one run.
#[derive(Debug)]
pub struct Kin {
    publisher: Option<Kept>,
    ingest: Kept,
    transcoders: Vec<Kept>,
    agent: Kept,
}

impl Kin {
    /// Starts the agent, the transcode nodes and the ingest.
    pub(super) fn start(programs: &Programs, files: &Files, options: &Options) -> Self {
        let daemon = |program: &std::path::Path, name: String| {
            let (program, config) = (program.to_owned(), files.config(&name));
            let command = move || Command::new(&program).arg("--config").arg(&config);
            Kept::start(Member {
                name,
                restart: !options.no_restart,
                command: Box::new(command),
            })
        };
        let transcode = |number| daemon(&programs.transcode, format!("transcode-{number}"));
        Self {
            agent: daemon(&programs.agent, "agent".to_owned()),
            transcoders: (1..=options.transcoders).map(transcode).collect(),
            ingest: daemon(&programs.ingest, "ingest".to_owned()),
            publisher: None,
        }
    }

    /// Starts the publisher.
    pub(super) fn publish(&mut self, publisher: Member) {
        self.publisher = Some(Kept::start(publisher));
    }

    /// Process ids of the agent, the ingest and the transcode nodes; 0 for one that does not run.
    pub(super) fn pids(&self) -> (u32, u32, Vec<u32>) {
        let transcoders = self.transcoders.iter().map(Kept::pid).collect();
        (self.agent.pid(), self.ingest.pid(), transcoders)
    }

    /// Waits until a child other than the publisher ends, and says which and how.
    pub(super) async fn any_end(&self) -> (String, String) {
        let services = self.transcoders.iter().chain([&self.agent, &self.ingest]);
        select_all(services.map(|kept| Box::pin(kept.end())))
            .await
            .0
    }

    /// Ends all of them: who depends on others goes first.
    pub async fn stop(self) {
        if let Some(publisher) = self.publisher {
            publisher.stop().await;
        }
        self.ingest.stop().await;
        join_all(self.transcoders.into_iter().map(Kept::stop)).await;
        self.agent.stop().await;
    }
}

impl Kept {
    pub(super) fn start(member: Member) -> Self {
        let (tell, state) = watch::channel(State::New);
        let stop = CancellationToken::new();
        let name = member.name.clone();
        let task = tokio::spawn(keep(member, tell, stop.clone()));
        Self {
            name,
            state,
            stop,
            task,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        match *self.state.borrow() {
            State::Running(pid) => pid,
            _ => 0,
        }
    }

    pub(super) async fn end(&self) -> (String, String) {
        let mut state = self.state.clone();
        let ended = state
            .wait_for(|state| matches!(state, State::Ended(_)))
            .await;
        match ended.as_deref() {
            Ok(State::Ended(how)) => (self.name.clone(), how.clone()),
            // Its task has ended without saying so: it was stopped.
            _ => std::future::pending().await,
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            log::error!("{} was not ended in order: {error}", self.name);
        }
    }
}

async fn keep(member: Member, state: watch::Sender<State>, stop: CancellationToken) {
    let Member {
        name,
        restart,
        command,
    } = member;
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let how = match command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
        {
            Ok(child) => match live(&name, child, &state, &stop).await {
                Some(how) => how,
                None => return,
            },
            Err(error) => format!("could not be started: {error}"),
        };
        state.send_replace(State::Ended(how.clone()));
        if !restart {
            log::error!("{name} {how}; it stays dead (--no-restart)");
            return;
        }
        failures = BACKOFF.failures_after(failures, began.elapsed());
        let delay = BACKOFF.delay(failures, rand::random());
        log::error!(
            "{name} {how}; it is started again in {} ms",
            delay.as_millis()
        );
        if stop
            .run_until_cancelled(tokio::time::sleep(delay))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// One life of a child; says how it ended, or `None` if it was asked to.
async fn live(
    name: &str,
    mut child: process::Child,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
) -> Option<String> {
    let pid = child.id().unwrap_or_default();
    log::info!("{name} runs as process {pid}");
    if let Some(stderr) = child.take_stderr() {
        tokio::spawn(pass_on(name.to_owned(), stderr));
    }
    state.send_replace(State::Running(pid));
    match stop.run_until_cancelled(child.wait()).await {
        Some(ended) => Some(format!("(process {pid}) {}", in_words(ended))),
        None => {
            if let Err(error) = child.stop(GRACE).await {
                log::error!("{name} (process {pid}) could not be ended: {error}");
            }
            None
        }
    }
}

fn in_words(ended: io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("died: {status}"),
        Err(error) => format!("is gone: {error}"),
    }
}

/// Passes the child's log on, each line with its name.
async fn pass_on(name: String, log: impl tokio::io::AsyncRead + Unpin) {
    let mut lines = FramedRead::new(log, LinesCodec::new_with_max_length(MAX_LINE));
    while let Some(line) = lines.next().await {
        let line = line.unwrap_or_else(|error| format!("({error})"));
        // With standard error closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "{name}: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &'static str, restart: bool) -> Kept {
        Kept::start(Member {
            name: "child".to_owned(),
            restart,
            command: Box::new(move || Command::new("sh").args(["-c", script])),
        })
    }

    async fn running(kept: &Kept, other_than: u32) -> u32 {
        let mut state = kept.state.clone();
        let other = |state: &State| matches!(state, State::Running(pid) if *pid != other_than);
        tokio::time::timeout(LIMIT, state.wait_for(other))
            .await
            .unwrap()
            .unwrap();
        kept.pid()
    }

    fn kill(pid: u32) {
        let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
        nix::sys::signal::kill(pid, process::Signal::SIGKILL).unwrap();
    }

    fn exists(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[tokio::test]
    async fn a_child_that_dies_is_started_again() {
        let kept = shell("exec sleep 60", true);
        let first = running(&kept, 0).await;
        kill(first);
        let second = running(&kept, first).await;
        assert!(!exists(first) && exists(second));
        kept.stop().await;
        assert!(!exists(second));
    }

    #[tokio::test]
    async fn a_child_stays_dead_if_so_wanted() {
        let kept = shell("exit 3", false);
        let (name, how) = tokio::time::timeout(LIMIT, kept.end()).await.unwrap();
        assert_eq!(name, "child");
        assert!(how.ends_with("died: exit status: 3"), "{how}");
        tokio::time::timeout(LIMIT, kept.task)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_child_that_cannot_be_started_is_told() {
        let kept = Kept::start(Member {
            name: "child".to_owned(),
            restart: true,
            command: Box::new(|| Command::new("/nonexistent")),
        });
        let (_, how) = tokio::time::timeout(LIMIT, kept.end()).await.unwrap();
        assert!(how.starts_with("could not be started"), "{how}");
        kept.stop().await;
    }
}
