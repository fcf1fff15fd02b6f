//! The life of one worker process, as the supervisor sees it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::frame::{FrameError, Framed, Receiver, Sender};
use rackcast_service::process::{Child, Command};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep_until, timeout};

use super::Blueprint;
use super::protocol::{FromWorker, SOCKET, ToWorker};
use crate::scheduler::{Assignment, Scheduler};

/// Keeps freed memory in the process and pictures off the page allocator: up to 6 % of CPU.
const MALLOC: &str = "glibc.malloc.mmap_threshold=67108864:glibc.malloc.trim_threshold=1073741824";

/// How a worker ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("it has done its share of jobs")]
    Recycled,
    #[error("it could not be started: {0}")]
    Start(std::io::Error),
    #[error("it was not ready after {0:?}")]
    NotReady(Duration),
    #[error("{0}")]
    Died(String),
    #[error("it did not stop when its job was over")]
    Hung,
    #[error("it said nothing for {0:?}")]
    Silent(Duration),
    #[error("it broke the protocol: {0}")]
    Protocol(String),
}

impl End {
    /// Nothing is wrong with workers as such. An x264 that is told to stop first encodes what
    /// it has looked ahead to: a worker that takes too long over it, or hangs, is replaced at
    /// once. It can happen once a job at the most, so that no delay is needed.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self, Self::Recycled | Self::Hung)
    }

    /// As a metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Recycled => "recycled",
            Self::Start(_) => "start",
            Self::NotReady(_) => "not-ready",
            Self::Died(_) => "died",
            Self::Hung => "hung",
            Self::Silent(_) => "silent",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl From<FrameError> for End {
    fn from(e: FrameError) -> Self {
        match e {
            FrameError::Io(_) | FrameError::Truncated => Self::Died(e.to_string()),
            e => Self::Protocol(e.to_string()),
        }
    }
}

/// Starts a worker and gives it jobs until it ends.
pub(super) async fn live(blueprint: &Blueprint, scheduler: &std::sync::Arc<Scheduler>) -> End {
    let (mut child, socket) = match start(blueprint) {
        Ok(started) => started,
        Err(e) => return End::Start(e),
    };
    let (sender, receiver) = Framed::new(socket).split();
    let mut worker = Worker {
        sender,
        receiver,
        heard: Instant::now(),
        blueprint,
        scheduler,
    };
    let end = match worker.serve().await {
        Ok(()) => End::Recycled,
        Err(e) => e,
    };
    drop(worker);
    if let Err(e) = child.kill() {
        log::warn!("a worker could not be killed: {e}");
    }
    match (child.wait().await, end) {
        // The end of the socket says less than the exit status.
        (Ok(status), End::Died(_)) => End::Died(format!("it ended with {status}")),
        (_, end) => end,
    }
}

fn start(blueprint: &Blueprint) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let encoder = &blueprint.encoder;
    let child = Command::new(&blueprint.program)
        .arg("worker")
        .arg(format!("--encoder={}", encoder.encoder.as_str()))
        .arg(format!("--threads={}", encoder.threads))
        .arg(format!("--preset={}", encoder.preset))
        .arg(format!(
            "--warm-pipelines={}",
            blueprint.worker.warm_pipelines
        ))
        .arg(format!("--log-level={}", blueprint.log_level))
        .env("GLIBC_TUNABLES", MALLOC)
        .fd(SOCKET, theirs.into_std()?)
        .nice(blueprint.worker.nice)
        .spawn()?;
    Ok((child, ours))
}

struct Worker<'a> {
    sender: Sender<OwnedWriteHalf>,
    receiver: Receiver<OwnedReadHalf>,
    /// When it last said anything.
    heard: Instant,
    blueprint: &'a Blueprint,
    scheduler: &'a std::sync::Arc<Scheduler>,
}

impl Worker<'_> {
    async fn serve(&mut self) -> Result<(), End> {
        let limit = self.blueprint.worker.start_timeout;
        match timeout(limit, self.receiver.recv()).await {
            Err(_) => return Err(End::NotReady(limit)),
            Ok(message) => match message? {
                Some((FromWorker::Ready, _)) => {}
                Some((other, _)) => return Err(End::Protocol(format!("{other:?} before ready"))),
                None => return Err(End::Died("it closed its socket".to_owned())),
            },
        }
        self.heard = Instant::now();
        let scheduler = self.scheduler;
        let _up = scheduler.worker_up();
        for _ in 0..self.blueprint.worker.recycle_after {
            let assignment = loop {
                tokio::select! {
                    biased;
                    message = self.hear() => {
                        if let (other, _) = message?
                            && !matches!(other, FromWorker::Alive { .. })
                        {
                            return Err(End::Protocol(format!("{other:?} without a job")));
                        }
                    }
                    assignment = scheduler.next() => break assignment,
                }
            };
            self.run(assignment).await?;
        }
        Ok(())
    }

    /// Gives the worker a job and waits until it is free again.
    async fn run(&mut self, mut assignment: Assignment) -> Result<(), End> {
        let job = assignment.id();
        let start = ToWorker::Start {
            job,
            stream: assignment.job.stream.clone(),
            sequence: assignment.job.sequence,
            spec: Box::new(assignment.job.spec.clone()),
        };
        let segment = std::mem::take(&mut assignment.segment);
        let result = match self.tell(&start, segment).await {
            Ok(()) => self.follow(job, &assignment).await,
            Err(end) => Err(end),
        };
        match result {
            Ok(Outcome::Done(frames)) => assignment.done(frames),
            Ok(Outcome::Failed(code, message)) => assignment.fail(code, message),
            Err(end) => {
                let message = format!("the worker that had the job is gone: {end}");
                assignment.fail(RefusalCode::Internal, message);
                return Err(end);
            }
        }
        Ok(())
    }

    async fn follow(&mut self, job: u64, assignment: &Assignment) -> Result<Outcome, End> {
        let mut kill_at = None;
        let unwanted = assignment.unwanted();
        tokio::pin!(unwanted);
        loop {
            tokio::select! {
                message = self.hear() => match message? {
                    (FromWorker::Alive { .. }, _) => {}
                    (FromWorker::Rendition { job: j, name }, media) if j == job => {
                        assignment.rendition(name, media);
                    }
                    (FromWorker::Done { job: j, frames }, _) if j == job => {
                        return Ok(Outcome::Done(frames));
                    }
                    (FromWorker::Failed { job: j, code, message }, _) if j == job => {
                        return Ok(Outcome::Failed(code, message));
                    }
                    (other, _) => return Err(End::Protocol(format!("{other:?} during job {job}"))),
                },
                () = until(kill_at) => return Err(End::Hung),
                () = &mut unwanted, if kill_at.is_none() => {
                    kill_at = Some(Instant::now() + self.blueprint.worker.grace);
                    self.tell(&ToWorker::Cancel { job }, Bytes::new()).await?;
                }
            }
        }
    }

    /// A worker that does not read fills the socket; that is silence too.
    async fn tell(&mut self, message: &ToWorker, payload: Bytes) -> Result<(), End> {
        let limit = self.blueprint.worker.heartbeat_timeout;
        Ok(timeout(limit, self.sender.send(message, payload))
            .await
            .map_err(|_| End::Silent(limit))??)
    }

    async fn hear(&mut self) -> Result<(FromWorker, Bytes), End> {
        let limit = self.blueprint.worker.heartbeat_timeout;
        match tokio::time::timeout_at((self.heard + limit).into(), self.receiver.recv()).await {
            Err(_) => Err(End::Silent(limit)),
            Ok(message) => {
                let message = message?.ok_or_else(|| End::Died("it closed its socket".into()))?;
                self.heard = Instant::now();
                self.scheduler.heartbeat();
                Ok(message)
            }
        }
    }
}

enum Outcome {
    Done(u32),
    Failed(RefusalCode, String),
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
