//! One segment to one node, beside every plan: to see whether that node does its work.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use rackcast_route::Endpoint;
use rackcast_route::plan::End;
use rackcast_route::table::Timing;
use rackcast_segment::wire::job::Job;

use bytes::Bytes;
use tokio::time::timeout;

use super::Dispatcher;
use super::answer::Ended;
use super::attempt::{Attempt, Progress};

/// Why a node did not do what it was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// It takes nothing now; a retry may help.
    #[error("it refuses work: {0}")]
    Refused(&'static str),
    /// It finds fault with the segment.
    #[error("it cannot decode the segment: {0}")]
    Claim(&'static str),
    /// It could not be reached, broke off, or answered something else.
    #[error("{0}: {1}")]
    Failed(&'static str, String),
    /// The job's deadline passed.
    #[error("it did not answer in time")]
    Late,
}

impl Dispatcher {
    /// Sends a job to this node and to no other, once, and verifies every rendition that comes back.
    /// How the node spent its time, if it says so. Routing learns nothing of it.
    ///
    /// # Errors
    /// What was not as it should be.
    pub async fn trial(
        self: &Arc<Self>,
        endpoint: Endpoint,
        job: Job,
        body: Bytes,
    ) -> Result<Option<Timing>, TrialError> {
        let deadline = job.deadline;
        let attempt = Attempt {
            dispatcher: Arc::clone(self),
            endpoint,
            job,
            body,
        };
        let ended = async {
            let mut progress = pin!(attempt.run());
            while let Some(progress) = progress.next().await {
                if let Progress::Ended(ended) = progress {
                    return judge(ended);
                }
            }
            Err(TrialError::Late)
        };
        timeout(deadline, ended)
            .await
            .unwrap_or(Err(TrialError::Late))
    }
}

fn judge(Ended { end, detail }: Ended) -> Result<Option<Timing>, TrialError> {
    match end {
        End::Complete { timing, .. } => Ok(timing),
        End::Refused { code, .. } => Err(TrialError::Refused(code)),
        End::Claim { code } => Err(TrialError::Claim(code)),
        End::Failed { kind } => Err(TrialError::Failed(kind.as_str(), detail)),
    }
}
