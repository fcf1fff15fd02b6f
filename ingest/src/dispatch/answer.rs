//! What a node's answer means. Pure.

use std::fmt;
use std::time::Duration;

use rackcast_route::plan::End;
use rackcast_route::table::{FailureKind, Timing};
use rackcast_segment::wire::reply::{Refusal, Summary};

use super::link::LinkError;
use super::load;

/// The most characters of a failure in the log.
const MAX_DETAIL: usize = 300;

/// How an attempt ended, with a text for the log where the node failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) detail: String,
}

impl From<End> for Ended {
    fn from(end: End) -> Self {
        let detail = String::new();
        Self { end, detail }
    }
}

/// What an answer that is not 200 means. The status decides; the refusal fills in.
pub(super) fn classify(
    status: u16,
    refusal: Option<&Refusal>,
    retry_after: Option<Duration>,
) -> Ended {
    let code = refusal
        .filter(|r| r.code.status() == status)
        .map_or("unspecified", |r| r.code.as_str());
    match status {
        429 | 503 => Ended::from(End::Refused {
            code,
            retry_after: refusal
                .and_then(|r| r.retry_after_ms)
                .map(Duration::from_millis)
                .or(retry_after),
            load: refusal.and_then(|r| r.load.as_ref()).map(load),
        }),
        400 | 413 | 415 | 422 => Ended::from(End::Claim { code }),
        // What stands between answers for a node that it cannot reach.
        502 => failed(FailureKind::Broken, format!("status {status}, {code}")),
        408 | 504 => failed(FailureKind::TimedOut, format!("status {status}, {code}")),
        500..=599 => failed(FailureKind::Internal, format!("status {status}, {code}")),
        _ => failed(FailureKind::Protocol, format!("status {status}")),
    }
}

/// What the end of a 200 answer means; `complete` is whether every rendition came.
pub(super) fn conclude(summary: &Summary, complete: bool) -> Ended {
    match &summary.failure {
        _ if complete => Ended::from(End::Complete {
            timing: Some(Timing {
                queue: Duration::from_millis(summary.queue_ms),
                work: Duration::from_millis(summary.work_ms),
            }),
            load: Some(load(&summary.load)),
        }),
        // It took the segment: that is a submission, and no refusal that costs nothing.
        Some(refusal) if matches!(refusal.code.status(), 429 | 503) => {
            protocol("the node pushes back after it took the segment")
        }
        Some(refusal) => classify(refusal.code.status(), Some(refusal), None),
        None => protocol("the answer ends without every rendition"),
    }
}

/// What is said of a failure may quote the node, so it is made fit for a log.
pub(super) fn failed(kind: FailureKind, detail: impl fmt::Display) -> Ended {
    let detail = detail.to_string();
    let shown = detail.chars().filter(|c| !c.is_control()).take(MAX_DETAIL);
    Ended {
        end: End::Failed { kind },
        detail: shown.collect(),
    }
}

pub(super) fn protocol(detail: impl fmt::Display) -> Ended {
    failed(FailureKind::Protocol, detail)
}

impl From<LinkError> for Ended {
    fn from(e: LinkError) -> Self {
        let kind = match e {
            LinkError::Down { .. } => FailureKind::Connect,
            LinkError::Broken { .. } => FailureKind::Broken,
        };
        failed(kind, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_segment::wire::reply::RefusalCode;

    fn refusal(code: RefusalCode) -> Refusal {
        Refusal {
            code,
            message: String::new(),
            retry_after_ms: Some(250),
            load: None,
        }
    }

    #[test]
    fn the_status_decides_and_the_refusal_fills_in() {
        let after = Some(Duration::from_secs(3));
        let pushed_back = |code, retry_after| {
            let load = None;
            Ended::from(End::Refused {
                code,
                retry_after,
                load,
            })
        };
        assert_eq!(
            classify(429, Some(&refusal(RefusalCode::NoSlot)), after),
            pushed_back("no-slot", Some(Duration::from_millis(250)))
        );
        // A proxy's answer, and one that contradicts itself.
        for lie in [None, Some(refusal(RefusalCode::Undecodable))] {
            let lie = lie.map(|r| Refusal {
                retry_after_ms: None,
                ..r
            });
            let read = classify(503, lie.as_ref(), after);
            assert_eq!(read, pushed_back("unspecified", after));
        }
        for status in [400, 413, 415, 422] {
            let code = "unspecified";
            assert_eq!(
                classify(status, None, None),
                Ended::from(End::Claim { code })
            );
        }
        for (status, kind) in [
            (408, FailureKind::TimedOut),
            (504, FailureKind::TimedOut),
            (500, FailureKind::Internal),
            (502, FailureKind::Broken),
            (204, FailureKind::Protocol),
            (404, FailureKind::Protocol),
        ] {
            let read = classify(status, None, None);
            assert_eq!(read.end, End::Failed { kind }, "{status}");
        }
    }

    #[test]
    fn what_a_node_says_cannot_forge_a_log_line() {
        let said = format!("a\nb\x1b[31m{}", "x".repeat(1000));
        let Ended { detail, .. } = protocol(said);
        assert!(detail.starts_with("ab[31mx") && detail.len() == MAX_DETAIL);
    }
}
