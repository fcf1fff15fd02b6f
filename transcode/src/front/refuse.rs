//! Refusals: what is wrong with a request, and how it is said.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use rackcast_segment::wire::job::{InvalidJob, Job};
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::reply::{Refusal, RefusalCode};

use super::{Body, json};
use crate::admission::{Cause, Refused};
use crate::config;

/// Why a request is not served; carries what the client is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct No {
    pub(super) code: RefusalCode,
    /// As it is counted.
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl No {
    pub(super) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: code.as_str(),
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn into_refusal(self, load: Load) -> Refusal {
        Refusal {
            code: self.code,
            message: self.message,
            retry_after_ms: self
                .retry_after
                .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            load: Some(load),
        }
    }

    /// The answer, with `Retry-After` where coming back can help.
    pub(super) fn into_response(self, load: Load) -> Response<Body> {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let seconds = self
            .retry_after
            .map(|d| d.as_secs_f64().ceil().max(1.0) as u64);
        let mut response = json(status, &self.into_refusal(load));
        if let Some(seconds) = seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<InvalidJob> for No {
    fn from(e: InvalidJob) -> Self {
        let code = match e {
            InvalidJob::TooLarge(_) => RefusalCode::TooLarge,
            _ => RefusalCode::BadRequest,
        };
        Self::new(code, e.to_string())
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        let cause = refused.cause;
        let message = match cause {
            Cause::Draining => "the node finishes its work and takes none",
            Cause::NoDevice => "no worker is up",
            Cause::Unsupported => "no device of this node has HEVC, in or out",
            Cause::NoSlot => "every slot and the queue are taken",
            Cause::Share => "others want their share of the slots, and this is more than yours",
            Cause::DeadlineTooClose => {
                "the deadline cannot be met: the job or one before it would be late"
            }
        };
        Self {
            reason: cause.as_str(),
            retry_after: (cause != Cause::Unsupported).then_some(refused.retry_after),
            ..Self::new(cause.code(), message)
        }
    }
}

/// Whether a job is within this node's limits; `length` is the request's `content-length`.
pub(super) fn check(job: &Job, length: Option<u64>, limits: &config::Front) -> Result<(), No> {
    let source = &job.spec.source;
    let pixels = u64::from(source.format.width) * u64::from(source.format.height);
    let too_large = |what: &str, got: u64, limit: u64| {
        No::new(
            RefusalCode::TooLarge,
            format!("{got} {what}; at most {limit} are allowed"),
        )
    };
    if source.bytes > limits.max_segment_bytes {
        return Err(too_large("bytes", source.bytes, limits.max_segment_bytes));
    }
    if source.frames > limits.max_frames {
        return Err(too_large(
            "pictures",
            source.frames.into(),
            limits.max_frames.into(),
        ));
    }
    if pixels > limits.max_picture_pixels {
        return Err(too_large(
            "pixels a picture",
            pixels,
            limits.max_picture_pixels,
        ));
    }
    // What is said of the rate, and what the numbers say; a second of grace for a segment that is
    // short.
    let most = f64::from(limits.max_frame_rate);
    let span = source.duration.to_duration().as_secs_f64() + 1.0;
    if source.frame_rate.as_f64() > most || f64::from(source.frames) > span * most {
        let text = format!("more than {most} pictures a second are not transcoded");
        return Err(No::new(RefusalCode::TooLarge, text));
    }
    let bad = |text: String| Err(No::new(RefusalCode::BadRequest, text));
    if let Some(length) = length.filter(|l| *l != source.bytes) {
        return bad(format!(
            "the body has {length} bytes, the job says {}",
            source.bytes
        ));
    }
    let format = &source.format;
    match job
        .spec
        .renditions
        .iter()
        .find(|r| r.width > format.width || r.height > format.height)
    {
        Some(r) => bad(format!("{} is larger than the source", r.name)),
        None => Ok(()),
    }
}
