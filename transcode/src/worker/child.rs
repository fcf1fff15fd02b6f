//! The worker process: takes one job at a time over its inherited socket.
//!
//! The main thread talks to the supervisor and is always free to hear a cancellation and to
//! say that the process lives; a thread beside it owns the pipelines. When the socket closes,
//! the supervisor is gone, and so is the worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::h264::{self, H264Error};
use rackcast_segment::media::AccessUnit;
use rackcast_segment::ts::{self, TsError};
use rackcast_segment::wire::job::JobSpec;
use rackcast_service::frame::{FrameError, Framed};
use rackcast_service::process::{InheritError, inherited_stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::protocol::{FromWorker, SOCKET, ToWorker};
use crate::pipeline::{EncoderConfig, PipelineError, Pipelines, Rendition};

/// How often a worker says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(500);
/// Answers that wait for the socket; a pipeline that is further ahead waits too.
const ANSWERS: usize = 4;

/// `nal_unit_type` of a sequence parameter set.
const NAL_SPS: u8 = 7;

/// What a worker is told on its command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How encoders are set.
    pub encoder: EncoderConfig,
    /// Pipelines that stay warm.
    pub warm_pipelines: usize,
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
    let pipelines = Pipelines::new(settings.encoder, settings.warm_pipelines)?;
    let progress = pipelines.progress();
    let (tasks, todo) = std::sync::mpsc::sync_channel(1);
    let (answer, mut answers) = mpsc::channel(ANSWERS);
    std::thread::Builder::new()
        .name("pipelines".to_owned())
        .spawn(move || work(pipelines, &todo, &answer))
        .map_err(|e| WorkerError::Thread(e.to_string()))?;

    sender.send(&FromWorker::Ready, Bytes::new()).await?;
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut current: Option<(u64, CancellationToken)> = None;
    loop {
        tokio::select! {
            message = receiver.recv::<ToWorker>() => match message? {
                None => return Ok(()),
                Some((ToWorker::Start { job, stream, sequence, spec }, segment)) => {
                    log::debug!(
                        rackcast_stream = stream.to_string(), rackcast_segment = sequence.0;
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
            }
            _ = beat.tick() => {
                let alive = FromWorker::Alive { progress: progress.load(Ordering::Relaxed) };
                sender.send(&alive, Bytes::new()).await?;
            }
        }
    }
}

/// The pipelines' thread.
fn work(
    mut pipelines: Pipelines,
    todo: &std::sync::mpsc::Receiver<Task>,
    answer: &mpsc::Sender<Answer>,
) {
    for task in todo {
        let end = match transcode(&mut pipelines, &task, answer) {
            Ok(frames) => FromWorker::Done {
                job: task.job,
                frames,
            },
            Err(e) => FromWorker::Failed {
                job: task.job,
                code: e.code(),
                message: e.to_string(),
            },
        };
        if answer.blocking_send((end, Bytes::new())).is_err() {
            return;
        }
    }
}

fn transcode(
    pipelines: &mut Pipelines,
    task: &Task,
    answer: &mpsc::Sender<Answer>,
) -> Result<u32, PipelineError> {
    let units = access_units(task)?;
    let layout = ts::Layout {
        video: true,
        audio: false,
    };
    pipelines.transcode(
        &task.spec,
        &units,
        &task.cancel,
        |Rendition { name, pictures }| {
            let media = ts::Writer::new(layout).segment(&pictures, None);
            // A supervisor that is gone takes this process with it.
            let _ = answer.blocking_send((
                FromWorker::Rendition {
                    job: task.job,
                    name,
                },
                media,
            ));
        },
    )
}

/// The segment's pictures, if they are what the job says: admission went by that, and no
/// picture is decoded that is larger than was admitted.
fn access_units(task: &Task) -> Result<Vec<AccessUnit>, PipelineError> {
    let source = &task.spec.source;
    let undecodable = |text| Err(PipelineError::Undecodable(text));
    let demuxed =
        ts::read(&task.segment, source.first_pts, &ts::Limits::default()).map_err(|e| match e {
            TsError::NoProgram => PipelineError::Unsupported(e.to_string()),
            e => PipelineError::Undecodable(e.to_string()),
        })?;
    if demuxed.damage.any() {
        return undecodable(format!(
            "the transport stream is damaged: {:?}",
            demuxed.damage
        ));
    }
    let units = demuxed.video;
    let Some(first) = units.first() else {
        return Err(PipelineError::Unsupported(
            "there is no H.264 video in it".to_owned(),
        ));
    };
    if units.len() != source.frames as usize {
        return undecodable(format!(
            "{} pictures, {} announced",
            units.len(),
            source.frames
        ));
    }
    if !first.idr {
        return undecodable("the first picture is no IDR".to_owned());
    }
    let parameter_sets = units
        .iter()
        .flat_map(|unit| h264::nal_units(&unit.data))
        .filter(|nal| nal.first().is_some_and(|header| header & 0x1f == NAL_SPS));
    for sps in parameter_sets {
        let format = h264::parse_sps(sps).map_err(|e| match e {
            H264Error::Unsupported(_) => PipelineError::Unsupported(e.to_string()),
            e => PipelineError::Undecodable(e.to_string()),
        })?;
        if (format.width, format.height) != (source.format.width, source.format.height) {
            return undecodable(format!("pictures of {}x{}", format.width, format.height));
        }
    }
    Ok(units)
}
