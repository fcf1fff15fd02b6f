//! Why a device was not measured.

use std::time::Duration;

use rackcast_segment::id::InvalidName;
use rackcast_segment::sample::SampleError;

/// Why a device was not measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A worker cannot work.
    #[error("{0}")]
    Device(String),
    /// Its workers were not up in time.
    #[error("its workers were not up after {0:?}")]
    NotUp(Duration),
    /// A job did not come to its end.
    #[error("a job failed: {0}")]
    Job(String),
    /// What came out makes no sense; the machine may have been busy with something else.
    #[error("no rates come out of {0:?} and {1:?} for the full ladder and its lowest rung")]
    Nonsense(Duration, Duration),
    /// A defect of this program.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// A defect of this program.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A defect of this program.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}
