//! A job alone in a worker of its own, which ends with it.
//!
//! Here goes a job whose worker died over it (or failed in a way that may be its own), and one
//! that killed a worker elsewhere. The disposable worker is started and tested like any other,
//! within the job's deadline, and takes the place of its slot's worker, so that no more runs at
//! a time than the node has slots. Only what is missing is made: renditions that have left are
//! good.
//!
//! If this worker dies too, having passed its self-test a moment ago, the segment has killed
//! two: it is refused with 422 `killed-worker`, and no worker that serves others has seen it
//! more than once.

use rackcast_segment::wire::reply::RefusalCode;

use super::end::End;
use super::process::{Outcome, Role};
use super::slot::Slot;
use crate::scheduler::Assignment;

/// Why a job is in quarantine.
#[derive(Debug, Clone)]
pub(super) enum Because {
    /// Its caller says that it killed a worker of another node.
    Asked,
    /// The worker that had it is dead.
    Died(String),
    /// The worker that had it could not do it, and does not know why.
    Failed(String),
}

impl std::fmt::Display for Because {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked => f.write_str("it killed a worker of another node"),
            Self::Died(how) => write!(f, "the worker that had it is gone: {how}"),
            Self::Failed(how) => write!(f, "the worker that had it failed: {how}"),
        }
    }
}

/// Sees the job to its end; its caller is told.
pub(super) async fn run(slot: &Slot, mut job: Assignment, why: Because) {
    let (stream, segment) = (job.job.stream.to_string(), job.job.sequence.0);
    log::warn!(
        rackcast_token = stream, rackcast_segment = segment, rackcast_worker = slot.post.number;
        "the segment goes into quarantine: {why}"
    );
    // The time counts the start of a process.
    job.retry();
    let result = if job.is_complete() {
        // It died over the last word.
        let frames = job.job.spec.source.frames;
        job.done(frames, None);
        "done"
    } else {
        alone(slot, job, &why).await
    };
    slot.scheduler.metrics.workers.quarantine(result);
    log::warn!(
        rackcast_token = stream, rackcast_segment = segment, rackcast_worker = slot.post.number,
        rackcast_reason = result;
        "the segment has left quarantine: {result}"
    );
}

async fn alone(slot: &Slot, mut job: Assignment, why: &Because) -> &'static str {
    let started = tokio::select! {
        started = slot.start(Role::Quarantine(slot.post)) => started,
        unwanted = job.unwanted() => {
            job.give_up(unwanted);
            return "unwanted";
        }
    };
    let mut process = match started {
        Ok(process) => process,
        Err(end) => {
            slot.count(&end);
            return fail(
                &mut job,
                RefusalCode::Internal,
                format!("{why}; another: {end}"),
            );
        }
    };
    let (end, result) = match process.run(&mut job).await {
        Ok(Outcome::Done { frames, spent }) => {
            job.done(frames, Some(spent));
            (process.close(End::Disposed).await, "done")
        }
        Ok(Outcome::Failed { code, message }) => {
            let result = fail(&mut job, code, message);
            (process.close(End::Disposed).await, result)
        }
        Ok(Outcome::Unwanted) => (process.close(End::Disposed).await, "unwanted"),
        Err(end) if !job.is_open() => (process.close(end).await, "unwanted"),
        Err(end) => {
            let end = process.close(end).await;
            let text = format!("{why}; and alone in another: {end}");
            (end, fail(&mut job, RefusalCode::KilledWorker, text))
        }
    };
    slot.count(&end);
    result
}

fn fail(job: &mut Assignment, code: RefusalCode, message: String) -> &'static str {
    job.fail(code, message);
    code.as_str()
}
