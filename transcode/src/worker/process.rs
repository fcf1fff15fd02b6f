//! One worker process, as the supervisor sees it: started and tested, at a job, idle, gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::frame::{Framed, Receiver, Sender};
use rackcast_service::process::{Child, Command, Resource};
use rackcast_service::starved::Sample;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep_until, timeout};

use super::Blueprint;
use super::end::End;
use super::post::Post;
use super::protocol::{FromWorker, SOCKET, ToWorker};
use super::vigil::{Vigil, of_process};
use crate::metrics::Sessions;
use crate::pipeline::Spent;
use crate::scheduler::{Assignment, Scheduler};

/// Keeps freed memory in the process and pictures off the page allocator: up to 6 % of CPU. One arena, since
/// those of threads are given back whatever is said here, and large pages: 90,000 page faults of a clip become
/// 4,000, and 3 % of CPU less.
pub const MALLOC: &str = "glibc.malloc.mmap_threshold=67108864:glibc.malloc.trim_threshold=1073741824:\
                          glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1";

/// How long a process that was killed may take to be gone: one that hangs in a driver does not go.
const GONE: Duration = Duration::from_secs(1);

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Job after job, in this slot.
    Serving(Post),
    /// One job, in the place of this slot's worker.
    Quarantine(Post),
}

/// What became of a job, when its worker lives.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Every rendition was passed on.
    Done { frames: u32, spent: Spent },
    /// It broke off.
    Failed { code: RefusalCode, message: String },
    /// It was stopped: nobody waits for it.
    Unwanted,
}

type Look = Box<dyn FnMut() -> Option<Sample> + Send>;

/// A worker that has passed its self-test. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    sender: Sender<OwnedWriteHalf>,
    receiver: Receiver<OwnedReadHalf>,
    /// When it last said anything.
    heard: Instant,
    /// Over its silence.
    silence: Vigil<Look>,
    /// Its count of pictures, and since when that stands.
    progress: (u32, Instant),
    /// It has HEVC.
    pub(super) hevc: bool,
    sessions: Sessions,
    blueprint: Arc<Blueprint>,
    scheduler: Arc<Scheduler>,
}

impl Process {
    /// Starts a worker and waits until it has passed its self-test.
    pub(super) async fn start(
        blueprint: Arc<Blueprint>,
        scheduler: Arc<Scheduler>,
        role: Role,
    ) -> Result<Self, End> {
        let (child, socket) = spawn(&blueprint, &scheduler, role).map_err(End::Start)?;
        let (sender, receiver) = Framed::new(socket).split();
        let now = Instant::now();
        let limit = blueprint.worker.start_timeout;
        let (Role::Serving(post) | Role::Quarantine(post)) = role;
        let sessions = scheduler.sessions(post.id);
        let silence = vigil(&child, &blueprint);
        let mut process = Self {
            child,
            sender,
            receiver,
            heard: now,
            silence,
            progress: (0, now),
            hevc: false,
            sessions,
            blueprint,
            scheduler,
        };
        match timeout(limit, process.ready()).await {
            Ok(Ok(())) => Ok(process),
            Ok(Err(end)) => Err(process.close(end).await),
            Err(_) => Err(process.close(End::NotReady(limit)).await),
        }
    }

    /// Silence is no sign yet: GStreamer may look through all of its plug-ins first.
    async fn ready(&mut self) -> Result<(), End> {
        let limit = self.blueprint.worker.start_timeout;
        loop {
            match self.hear(limit).await? {
                (FromWorker::Ready { hevc }, _) => {
                    self.hevc = hevc;
                    return Ok(());
                }
                (FromWorker::Alive { .. }, _) => {}
                (other, _) => return Err(End::Protocol(format!("{other:?} before ready"))),
            }
        }
    }

    /// Listens to a worker that has no job, until it ends. May be cancelled.
    pub(super) async fn idle(&mut self) -> End {
        let limit = self.blueprint.worker.heartbeat_timeout;
        loop {
            match self.hear(limit).await {
                Ok((FromWorker::Alive { .. }, _)) => {}
                Ok((other, _)) => return End::Protocol(format!("{other:?} without a job")),
                Err(end) => return end,
            }
        }
    }

    /// Gives the worker a job and waits until it is free again, or dead. Renditions are passed
    /// on as they come; what else is to be told is the caller's to tell, but for a deadline
    /// that passes.
    pub(super) async fn run(&mut self, job: &mut Assignment) -> Result<Outcome, End> {
        let id = job.id();
        let unwanted = job.unwanted();
        tokio::pin!(unwanted);
        let start = ToWorker::Start {
            job: id,
            stream: job.job.stream.clone(),
            sequence: job.job.sequence,
            spec: Box::new(job.missing()),
        };
        let (grace, stall, beat) = {
            let limits = &self.blueprint.worker;
            (limits.grace, limits.stall_timeout, limits.heartbeat_timeout)
        };
        let mut kill_at: Option<Instant> = None;
        {
            let segment = job.segment.clone();
            let handing = self.tell(&start, segment);
            tokio::pin!(handing);
            tokio::select! {
                biased;
                handed = &mut handing => handed?,
                why = &mut unwanted => {
                    job.give_up(why);
                    kill_at = Some(Instant::now() + grace);
                    timeout(grace, handing).await.map_err(|_| End::Hung)??;
                }
            }
        }
        if kill_at.is_some() {
            self.tell(&ToWorker::Cancel { job: id }, Bytes::new())
                .await?;
        }
        self.progress.1 = Instant::now();
        let mut standing = vigil(&self.child, &self.blueprint);
        loop {
            let moved = self.progress.1;
            tokio::select! {
                biased;
                message = self.hear(beat) => {
                    if let Some(outcome) = answered(message?, id, job)? {
                        return Ok(outcome);
                    }
                }
                () = sleep_until(kill_at.unwrap_or(moved).into()), if kill_at.is_some() => {
                    return Err(End::Hung);
                }
                stood = standing.outlasts(moved, stall), if kill_at.is_none() => {
                    return Err(End::Stalled(stood));
                }
                why = &mut unwanted, if kill_at.is_none() => {
                    job.give_up(why);
                    kill_at = Some(Instant::now() + grace);
                    self.tell(&ToWorker::Cancel { job: id }, Bytes::new()).await?;
                }
            }
        }
    }

    /// Kills the process and waits until nothing is left of it; says how it ended. One that the system
    /// does not let go is left to it.
    pub(super) async fn close(&mut self, end: End) -> End {
        if let Err(e) = self.child.kill() {
            log::warn!("a worker could not be killed: {e}");
        }
        match timeout(GONE, self.child.wait()).await {
            Ok(Ok(status)) => end.with_status(status),
            Ok(Err(_)) => end,
            Err(_) => {
                let pid = self.child.id().unwrap_or_default();
                log::error!("worker {pid} was killed and does not go: a driver holds it ({end})");
                end
            }
        }
    }

    /// A worker that does not read fills the socket; that is silence too.
    async fn tell(&mut self, message: &ToWorker, payload: Bytes) -> Result<(), End> {
        let (limit, now) = (self.blueprint.worker.heartbeat_timeout, Instant::now());
        tokio::select! {
            biased;
            sent = self.sender.send(message, payload) => Ok(sent?),
            silent = self.silence.outlasts(now, limit) => Err(End::Silent(silent)),
        }
    }

    /// What the worker says next, which may be silent for so long.
    async fn hear(&mut self, limit: Duration) -> Result<(FromWorker, Bytes), End> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.receiver.recv() => message?,
                silent = self.silence.outlasts(self.heard, limit) => {
                    return Err(End::Silent(silent));
                }
            };
            let message = message.ok_or_else(|| End::Gone("it ended".to_owned()))?;
            self.heard = Instant::now();
            self.scheduler.heartbeat();
            match message {
                (FromWorker::Tested { millis }, _) => {
                    let took = Duration::from_millis(millis);
                    self.scheduler.metrics.workers.self_test(Ok(took));
                }
                (FromWorker::Unfit { message }, _) => {
                    self.scheduler.metrics.workers.self_test(Err(()));
                    return Err(End::SelfTest(message));
                }
                (FromWorker::Alive { progress, sessions }, _) => {
                    self.sessions.set(sessions);
                    if progress != self.progress.0 {
                        self.progress = (progress, self.heard);
                    }
                    return Ok(message);
                }
                _ => {
                    self.progress.1 = self.heard;
                    return Ok(message);
                }
            }
        }
    }
}

fn vigil(child: &Child, blueprint: &Blueprint) -> Vigil<Look> {
    let look = Box::new(of_process(child.id()));
    Vigil::new(look, blueprint.worker.starved_after)
}

/// What a message says of the job `id`; nothing while it goes on.
fn answered(
    (message, media): (FromWorker, Bytes),
    id: u64,
    assignment: &mut Assignment,
) -> Result<Option<Outcome>, End> {
    let broken = |what: String| Err(End::Protocol(what));
    match message {
        FromWorker::Alive { .. } => Ok(None),
        // Too late for anyone.
        FromWorker::Rendition { job, .. } if job == id && !assignment.is_open() => Ok(None),
        FromWorker::Rendition { job, name } if job == id => {
            let text = format!("the rendition {name} a second time, or unasked");
            if assignment.rendition(name, media) {
                Ok(None)
            } else {
                broken(text)
            }
        }
        FromWorker::Done { job, .. } | FromWorker::Failed { job, .. }
            if job == id && !assignment.is_open() =>
        {
            Ok(Some(Outcome::Unwanted))
        }
        FromWorker::Done { job, frames, spent } if job == id => {
            if assignment.is_complete() {
                Ok(Some(Outcome::Done { frames, spent }))
            } else {
                broken("done without every rendition".to_owned())
            }
        }
        FromWorker::Failed { job, code, message } if job == id => {
            Ok(Some(Outcome::Failed { code, message }))
        }
        other => broken(format!("{other:?} during job {id}")),
    }
}

fn spawn(
    blueprint: &Blueprint,
    scheduler: &Scheduler,
    role: Role,
) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let limits = &blueprint.worker;
    let (post, name) = match role {
        Role::Serving(post) => (post, format!("worker-{}", post.number)),
        Role::Quarantine(post) => (post, format!("quarantine-{}", post.number)),
    };
    let device = scheduler.devices().get(post.id.device);
    let device = device.ok_or_else(|| std::io::Error::other("there is no such device"))?;
    let mut command = Command::new(&blueprint.program);
    for (name, value) in device.environment() {
        command = command.env(name, value);
    }
    let child = command
        .arg("worker")
        .arg(format!("--name={name}"))
        .args(device.arguments())
        .arg(format!("--warm-pipelines={}", limits.warm_pipelines))
        .arg(format!("--log-level={}", blueprint.log_level))
        .env("GLIBC_TUNABLES", MALLOC)
        .fd(SOCKET, theirs.into_std()?)
        .nice(limits.nice)
        .cpus(device.cpus_of(post.id.slot))
        .limit(Resource::RLIMIT_DATA, limits.max_memory_bytes)
        .limit(Resource::RLIMIT_FSIZE, limits.max_file_bytes)
        .limit(Resource::RLIMIT_NOFILE, limits.max_open_files)
        // A dump would hold a stranger's pictures, and take as long as the memory is large.
        .limit(Resource::RLIMIT_CORE, 0)
        .spawn()?;
    Ok((child, ours))
}
