//! How a worker ended, and what is to be made of it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rackcast_service::frame::FrameError;
use rackcast_service::process::Signal;

/// Why a worker is no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("it has done its share of jobs")]
    Recycled,
    #[error("it has done the one job that it was for")]
    Disposed,
    #[error("it could not be started: {0}")]
    Start(std::io::Error),
    #[error("it was not ready after {0:?}")]
    NotReady(Duration),
    #[error("it failed its self-test: {0}")]
    SelfTest(String),
    #[error("its end of the socket was closed: {0}")]
    Gone(String),
    #[error("it ended with {0}")]
    Died(ExitStatus),
    #[error("it did not stop when its job was over")]
    Hung,
    #[error("it moved no picture for {0:?}")]
    Stalled(Duration),
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
        matches!(self, Self::Recycled | Self::Disposed | Self::Hung)
    }

    /// It never served: the next one will hardly fare better.
    pub(super) fn is_of_start(&self) -> bool {
        matches!(self, Self::Start(_) | Self::NotReady(_) | Self::SelfTest(_))
    }

    /// The exit status says more than the end of the socket.
    pub(super) fn with_status(self, status: ExitStatus) -> Self {
        match self {
            Self::Gone(_) => Self::Died(status),
            other => other,
        }
    }

    /// As a metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Recycled => "recycled",
            Self::Disposed => "disposed",
            Self::Start(_) => "start",
            Self::NotReady(_) => "not-ready",
            Self::SelfTest(_) => "self-test",
            Self::Gone(_) => "exited",
            Self::Died(status) => match status.signal() {
                None => "exited",
                Some(signal) if signal == Signal::SIGKILL as i32 => "killed",
                Some(_) => "crashed",
            },
            Self::Hung => "hung",
            Self::Stalled(_) => "stalled",
            Self::Silent(_) => "silent",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl From<FrameError> for End {
    fn from(e: FrameError) -> Self {
        match e {
            FrameError::Io(_) | FrameError::Truncated => Self::Gone(e.to_string()),
            e => Self::Protocol(e.to_string()),
        }
    }
}
