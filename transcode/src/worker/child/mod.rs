//! The worker process: takes one job at a time over its inherited socket.
//!
//! The main thread talks to the supervisor and is always free to hear a cancellation and to
//! say that the process lives; a thread beside it owns the pipelines. When the socket closes,
//! the supervisor is gone, and so is the worker.
//!
//! The pipelines' thread begins with a [self-test](self_test), and repeats it after each job
//! that failed, before it says so: a worker that cannot do what it could before has no say
//! about a segment, and ends.

mod segment;
mod self_test;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::id::RenditionName;
use rackcast_segment::media::{AccessUnit, Codec};
use rackcast_segment::ts;
use rackcast_segment::wire::job::JobSpec;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::frame::{FrameError, Framed};
use rackcast_service::process::{InheritError, inherited_stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::protocol::{FromWorker, SOCKET, ToWorker};
use crate::pipeline::{
    EncoderConfig, Engine, PipelineError, Pipelines, Rendition, Simulated, Simulation,
};

/// How often a worker says that it lives.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// Answers that wait for the socket; a pipeline that is further ahead waits too.
const ANSWERS: usize = 4;

/// What a worker is told on its command line.
#[derive(Debug, Clone)]
pub enum Settings {
    /// To transcode.
    Real {
        /// How encoders are set.
        encoder: EncoderConfig,
        /// Pipelines that stay warm.
        warm_pipelines: usize,
    },
    /// To pretend.
    Simulated(Simulation),
}

impl Settings {
    fn engine(self) -> Result<Box<dyn Engine>, PipelineError> {
        Ok(match self {
            // One more than is told, for the self-test.
            Self::Real {
                encoder,
                warm_pipelines,
            } => Box::new(Pipelines::new(encoder, warm_pipelines.saturating_add(1))?),
            Self::Simulated(simulation) => Box::new(Simulated::new(simulation)),
        })
    }
}

/// Why a worker ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It was not started by a supervisor.
    #[error(transparent)]
    Socket(#[from] InheritError),
    /// Talking to the supervisor failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// GStreamer does not work here.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// It cannot transcode what can be transcoded.
    #[error("the self-test failed: {0}")]
    Unfit(String),
    /// The system refused a thread, or the pipelines' thread has died.
    #[error("the worker's own threads failed: {0}")]
    Thread(String),
}

struct Task {
    job: u64,
    spec: Box<JobSpec>,
    segment: Bytes,
    cancel: CancellationToken,
}

type Answer = (FromWorker, Bytes);

/// Serves the supervisor until it closes the socket.
///
/// # Errors
/// The worker cannot go on; the supervisor starts another.
pub async fn serve(settings: Settings) -> Result<(), WorkerError> {
    let (mut sender, mut receiver) = Framed::new(inherited_stream(SOCKET)?).split();
    let engine = match settings.engine() {
        Ok(engine) => engine,
        Err(e) => {
            let message = e.to_string();
            sender
                .send(&FromWorker::Unfit { message }, Bytes::new())
                .await?;
            return Err(e.into());
        }
    };
    let (progress, sessions) = (engine.progress(), engine.sessions());
    let (tasks, todo) = std::sync::mpsc::sync_channel(1);
    let (answer, mut answers) = mpsc::channel(ANSWERS);
    std::thread::Builder::new()
        .name("pipelines".to_owned())
        .spawn(move || work(engine, &todo, &answer))
        .map_err(|e| WorkerError::Thread(e.to_string()))?;

    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut current: Option<(u64, CancellationToken)> = None;
    loop {
        tokio::select! {
            message = receiver.recv::<ToWorker>() => match message? {
                None => return Ok(()),
                Some((ToWorker::Start { job, stream, sequence, spec }, segment)) => {
                    log::debug!(
                        rackcast_token = stream.to_string(), rackcast_segment = sequence.0;
                        "a job has come"
                    );
                    let cancel = CancellationToken::new();
                    current = Some((job, cancel.clone()));
                    tasks
                        .try_send(Task { job, spec, segment, cancel })
                        .map_err(|_| WorkerError::Thread("the pipelines take no job".to_owned()))?;
                }
                Some((ToWorker::Cancel { job }, _)) => {
                    if let Some((_, cancel)) = current.as_ref().filter(|(c, _)| *c == job) {
                        cancel.cancel();
                    }
                }
            },
            answer = answers.recv() => {
                let (header, payload) = answer
                    .ok_or_else(|| WorkerError::Thread("the pipelines have died".to_owned()))?;
                sender.send(&header, payload).await?;
                if let FromWorker::Unfit { message } = header {
                    return Err(WorkerError::Unfit(message));
                }
            }
            _ = beat.tick() => {
                let alive = FromWorker::Alive {
                    progress: progress.load(Ordering::Relaxed),
                    sessions: sessions.load(Ordering::Relaxed),
                };
                sender.send(&alive, Bytes::new()).await?;
            }
        }
    }
}

/// The pipelines' thread.
fn work(
    mut engine: Box<dyn Engine>,
    todo: &std::sync::mpsc::Receiver<Task>,
    answer: &mpsc::Sender<Answer>,
) {
    // A supervisor that is gone takes this process with it.
    let say = |what: FromWorker| answer.blocking_send((what, Bytes::new())).is_ok();
    let tested = test(&mut *engine);
    let is_fit = matches!(tested, FromWorker::Tested { .. });
    let hevc = is_fit && engine.makes_hevc() && has_hevc(&mut *engine);
    if !say(tested) || !say(FromWorker::Ready { hevc }) {
        return;
    }
    for task in todo {
        let job = task.job;
        let emit = |name, media| {
            let _ = answer.blocking_send((FromWorker::Rendition { job, name }, media));
        };
        let units = segment::access_units(&task.segment, &task.spec.source);
        let seen = units.is_ok();
        let made = units.and_then(|units| transcode(&mut *engine, &task, &units, emit));
        let end = match made {
            Ok(frames) => FromWorker::Done {
                job,
                frames,
                spent: engine.spent(),
            },
            Err(e) => {
                let (code, message) = (e.code(), e.to_string());
                // Cancelled, or nothing that a pipeline has seen.
                let innocent =
                    !seen || matches!(code, RefusalCode::DeadlinePassed | RefusalCode::Unsupported);
                if !innocent && !say(test(&mut *engine)) {
                    return;
                }
                FromWorker::Failed { job, code, message }
            }
        };
        if !say(end) {
            return;
        }
    }
}

/// Whether HEVC works; without it a worker still serves.
fn has_hevc(engine: &mut dyn Engine) -> bool {
    let tested = self_test::hevc(engine);
    if let Err(e) = &tested {
        log::warn!("there will be no HEVC from this worker: {e}");
    }
    tested.is_ok()
}

/// What the supervisor is to hear of a self-test.
fn test(engine: &mut dyn Engine) -> FromWorker {
    let begun = Instant::now();
    match self_test::run(engine) {
        Ok(()) => FromWorker::Tested {
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        },
        Err(e) => FromWorker::Unfit {
            message: e.to_string(),
        },
    }
}

fn transcode(
    engine: &mut dyn Engine,
    task: &Task,
    units: &[AccessUnit],
    mut emit: impl FnMut(RenditionName, Bytes),
) -> Result<u32, PipelineError> {
    let layout = ts::Layout {
        video: true,
        audio: false,
    };
    engine.transcode(
        &task.spec,
        units,
        &task.cancel,
        &mut |Rendition { name, pictures }| {
            let spec = task.spec.renditions.iter().find(|r| r.name == name);
            let writer = ts::Writer::new(layout).of(spec.map_or_else(Codec::default, |r| r.codec));
            emit(name, { writer }.segment(&pictures, None));
        },
    )
}
