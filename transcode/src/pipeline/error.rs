//! What can go wrong with a segment in a pipeline, and whose fault it is.

use rackcast_segment::wire::reply::RefusalCode;

/// Why a segment was not transcoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// An element is not installed; nothing that needs it will work on this machine.
    #[error("the GStreamer element {0} is missing; install the package {1}")]
    Missing(&'static str, &'static str),
    /// The pictures cannot be decoded. A claim about the segment: another node should agree.
    #[error("the segment cannot be decoded: {0}")]
    Undecodable(String),
    /// The format is one that this node does not decode.
    #[error("the format is not supported: {0}")]
    Unsupported(String),
    /// Nobody waits for the result any more.
    #[error("the job was cancelled")]
    Cancelled,
    /// The pipeline failed; the segment may be fine.
    #[error("the pipeline failed: {0}")]
    Internal(String),
}

impl PipelineError {
    /// The code by which the caller hears of it.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Undecodable(_) => RefusalCode::Undecodable,
            Self::Unsupported(_) => RefusalCode::Unsupported,
            Self::Cancelled => RefusalCode::DeadlinePassed,
            Self::Missing(..) | Self::Internal(_) => RefusalCode::Internal,
        }
    }
}

impl From<gstreamer::glib::BoolError> for PipelineError {
    fn from(e: gstreamer::glib::BoolError) -> Self {
        Self::Internal(e.to_string())
    }
}

impl From<gstreamer::StateChangeError> for PipelineError {
    fn from(_: gstreamer::StateChangeError) -> Self {
        Self::Internal("an element did not start".to_owned())
    }
}

impl From<gstreamer::PadLinkError> for PipelineError {
    fn from(e: gstreamer::PadLinkError) -> Self {
        Self::Internal(format!("two elements do not fit together: {e}"))
    }
}
