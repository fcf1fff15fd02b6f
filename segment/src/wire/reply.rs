//! What a node answers: a refusal, or renditions and a summary.

use serde::{Deserialize, Serialize};

use crate::id::RenditionName;

use super::load::Load;

/// Why a node did not transcode; the body of every answer that is not 200.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason as a value.
    pub code: RefusalCode,
    /// The reason for a human, with what to do.
    pub message: String,
    /// When to come back, where coming back can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The node's load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

/// The reasons for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// 429: every slot and the queue are taken.
    NoSlot,
    /// 429: the deadline cannot be met.
    DeadlineTooClose,
    /// 503: the node finishes its work and takes none.
    Draining,
    /// 503: no device is in service.
    NoDevice,
    /// 400: the request is not a job.
    BadRequest,
    /// 413: the segment or its renditions exceed a limit.
    TooLarge,
    /// 415: a codec or format that the node cannot decode.
    Unsupported,
    /// 408: the body stalled.
    BodyTimeout,
    /// 422: the segment cannot be decoded.
    Undecodable,
    /// 422: the segment killed its worker, twice.
    KilledWorker,
    /// 500: the node failed, not the segment.
    Internal,
    /// 504: the deadline passed before the work was done.
    DeadlinePassed,
}

impl RefusalCode {
    /// The HTTP status that carries it.
    pub fn status(self) -> u16 {
        match self {
            Self::NoSlot | Self::DeadlineTooClose => 429,
            Self::Draining | Self::NoDevice => 503,
            Self::BadRequest => 400,
            Self::TooLarge => 413,
            Self::Unsupported => 415,
            Self::BodyTimeout => 408,
            Self::Undecodable | Self::KilledWorker => 422,
            Self::Internal => 500,
            Self::DeadlinePassed => 504,
        }
    }

    /// The code as it stands in JSON, in logs and as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSlot => "no-slot",
            Self::DeadlineTooClose => "deadline-too-close",
            Self::Draining => "draining",
            Self::NoDevice => "no-device",
            Self::BadRequest => "bad-request",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
            Self::BodyTimeout => "body-timeout",
            Self::Undecodable => "undecodable",
            Self::KilledWorker => "killed-worker",
            Self::Internal => "internal",
            Self::DeadlinePassed => "deadline-passed",
        }
    }

    /// Refused before the body was admitted: costs the node nothing.
    pub fn is_push_back(self) -> bool {
        matches!(
            self,
            Self::NoSlot | Self::DeadlineTooClose | Self::Draining | Self::NoDevice
        )
    }

    /// A claim about the segment, not about the node; to be believed when a second node agrees.
    pub fn blames_segment(self) -> bool {
        matches!(self, Self::Undecodable | Self::KilledWorker)
    }
}

/// What the last part of a 200 answer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Renditions that were finished, in the order of their parts.
    pub renditions: Vec<RenditionName>,
    /// Set if the job broke off after the first part; what is missing did not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Refusal>,
    /// The device that did it.
    pub device: String,
    /// Milliseconds from admission until a worker took the job.
    pub queue_ms: u64,
    /// Milliseconds from then until the last rendition was finished.
    pub work_ms: u64,
    /// Pictures decoded.
    pub frames: u32,
    /// The node's load when the job was done.
    pub load: Load,
}
