//! What supervisor and worker say to each other, as frames over a unix socket.

use rackcast_segment::id::{RenditionName, Sequence, StreamToken};
use rackcast_segment::wire::job::JobSpec;
use rackcast_segment::wire::reply::RefusalCode;
use serde::{Deserialize, Serialize};

use crate::pipeline::Spent;

/// The name under which a worker inherits its end of the socket.
pub const SOCKET: &str = "jobs";

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToWorker {
    /// Take this job; the payload is the segment. Sent to an idle worker only.
    Start {
        /// Names the job in every answer.
        job: u64,
        /// For the log.
        stream: StreamToken,
        /// For the log.
        sequence: Sequence,
        /// What to do.
        spec: Box<JobSpec>,
    },
    /// Nobody waits for this job any more. It is answered all the same, by
    /// [`FromWorker::Failed`] or, if it was too late, [`FromWorker::Done`].
    Cancel {
        /// Which.
        job: u64,
    },
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromWorker {
    /// The self-test was passed: at the start, and after a job that failed.
    Tested {
        /// How long it took.
        millis: u64,
    },
    /// The self-test was failed; the worker ends.
    Unfit {
        /// The reason for a human.
        message: String,
    },
    /// Jobs are welcome.
    Ready {
        /// In HEVC too.
        hevc: bool,
    },
    /// Sent at an interval, busy or not.
    Alive {
        /// Pictures through the pipelines so far; wraps.
        progress: u32,
        /// Encoders that are open.
        sessions: u32,
    },
    /// A rendition is finished; the payload is its MPEG-TS.
    Rendition {
        /// Of which job.
        job: u64,
        /// Its name.
        name: RenditionName,
    },
    /// All renditions were sent.
    Done {
        /// Which job.
        job: u64,
        /// Pictures decoded.
        frames: u32,
        /// What it took of the processor.
        spent: Spent,
    },
    /// The job is over without all renditions.
    Failed {
        /// Which job.
        job: u64,
        /// As the caller is to hear it.
        code: RefusalCode,
        /// The reason for a human.
        message: String,
    },
}
