//! One request to one node: send the segment, read and verify what comes back.
//!
//! Verification parses a whole rendition, some milliseconds of processor time for a segment of
//! 1080p, so it runs on the blocking pool and never holds up the reactor. An attempt waits for
//! it before it reads on: what the node sends meanwhile waits in the stream's flow-control
//! window, so no more than one unverified rendition per attempt is ever held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use rackcast_route::{Endpoint, FailureKind, Load};
use rackcast_segment::id::RenditionName;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_segment::wire::multipart::{Limits, Part, Reader};
use rackcast_segment::wire::reply::{Refusal, Summary};

use super::link::LinkError;
use super::outstanding::{Assembler, Outstanding};
use super::{Dispatcher, load};

/// The most bytes of an answer that is not 200.
const MAX_REFUSAL: usize = 64 << 10;
/// The most characters of a failure in the log.
const MAX_DETAIL: usize = 300;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Every rendition that was asked came and was right.
    Complete { load: Load },
    /// Pushed back; nothing was done.
    Refused {
        code: &'static str,
        retry_after: Option<Duration>,
        load: Option<Load>,
    },
    /// The node says that it is the segment's fault.
    Claim { code: &'static str },
    /// The node's fault; the text is for the log.
    Failed { kind: FailureKind, detail: String },
}

/// Sends one job and hands out what comes back, rendition by rendition. Dropping the future
/// resets the request, which frees the node's slot.
pub(super) async fn attempt(
    dispatcher: &Dispatcher,
    endpoint: &Endpoint,
    job: Job,
    body: Bytes,
    outstanding: &mut Outstanding,
) -> Ended {
    match exchange(dispatcher, endpoint, job, body, outstanding).await {
        Ok(ended) | Err(ended) => ended,
    }
}

async fn exchange(
    dispatcher: &Dispatcher,
    endpoint: &Endpoint,
    job: Job,
    body: Bytes,
    outstanding: &mut Outstanding,
) -> Result<Ended, Ended> {
    let request = request(endpoint, &job, body)?;
    let link = dispatcher.pool.link(endpoint);
    let response = link.send(request).await?;
    if response.status() != StatusCode::OK {
        return Ok(refused(response).await);
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|v| v.to_str().ok());
    let mut reader =
        Reader::new(content_type.unwrap_or_default(), limits(dispatcher)).map_err(protocol)?;
    let mut body = response.into_body();
    let mut assembler = Assembler::default();
    let spec = Arc::new(job.spec);
    let mut summary = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| failed(FailureKind::Broken, e))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        reader.push(data);
        while let Some(part) = reader.next().map_err(protocol)? {
            match part {
                Part::Rendition { head, body } => {
                    if outstanding.find(&head.rendition).is_none() {
                        let name = head.rendition;
                        return Err(protocol(format!(
                            "{name} was not asked for, or came before"
                        )));
                    }
                    let limit = dispatcher.config.max_rendition_bytes;
                    let whole = assembler.push(head, body, limit).map_err(protocol)?;
                    if let Some((name, media)) = whole {
                        check(dispatcher, &spec, &name, &media).await?;
                        outstanding.ready(name, media);
                    }
                }
                Part::Summary(s) => summary = Some(s),
            }
        }
    }
    reader.finish().map_err(|e| {
        let kind = match e.is_truncated() {
            true => FailureKind::Broken,
            false => FailureKind::Protocol,
        };
        failed(kind, e)
    })?;
    let summary = summary.ok_or_else(|| protocol("the answer has no summary"))?;
    Ok(conclude(&summary, outstanding.is_empty()))
}

fn request(endpoint: &Endpoint, job: &Job, body: Bytes) -> Result<Request<Full<Bytes>>, Ended> {
    let uri = format!("http://{endpoint}{}", wire::SEGMENTS_PATH);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "video/mp2t");
    for (name, value) in job.to_headers().map_err(protocol)? {
        request = request.header(name, value);
    }
    request.body(Full::new(body)).map_err(protocol)
}

/// Is this rendition the answer to its question?
async fn check(
    dispatcher: &Dispatcher,
    job: &Arc<JobSpec>,
    name: &RenditionName,
    media: &Bytes,
) -> Result<(), Ended> {
    let (job, name, media) = (Arc::clone(job), name.clone(), media.clone());
    let checked = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let spec = job.renditions.iter().find(|spec| spec.name == name)?;
        let expect = Expectation {
            spec,
            source: &job.source,
            shape: &job.shape,
        };
        let verdict = verify(&media, &expect).map(drop);
        Some((verdict, began.elapsed(), name))
    });
    // The blocking pool refuses work only while the process shuts down.
    let Ok(Some((verdict, took, name))) = checked.await else {
        return Err(failed(FailureKind::Broken, "the ingest is shutting down"));
    };
    let metrics = &dispatcher.metrics;
    metrics.verification.observe(took.as_secs_f64());
    verdict.map_err(|defect| {
        metrics.defects.with_label_values(&[defect.as_str()]).inc();
        failed(FailureKind::WrongMedia, format!("{name}: {defect}"))
    })
}

/// Reads an answer that is not 200.
async fn refused(response: Response<Incoming>) -> Ended {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let body = Limited::new(response.into_body(), MAX_REFUSAL)
        .collect()
        .await;
    let refusal: Option<Refusal> = body
        .ok()
        .and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
    classify(status.as_u16(), refusal.as_ref(), retry_after)
}

/// What an answer that is not 200 means. The status decides; the refusal fills in.
fn classify(status: u16, refusal: Option<&Refusal>, retry_after: Option<Duration>) -> Ended {
    let code = refusal
        .filter(|r| r.code.status() == status)
        .map_or("unspecified", |r| r.code.as_str());
    match status {
        429 | 503 => Ended::Refused {
            code,
            retry_after: refusal
                .and_then(|r| r.retry_after_ms)
                .map(Duration::from_millis)
                .or(retry_after),
            load: refusal.and_then(|r| r.load.as_ref()).map(load),
        },
        400 | 413 | 415 | 422 => Ended::Claim { code },
        408 | 504 => failed(FailureKind::TimedOut, format!("status {status}, {code}")),
        500..=599 => failed(FailureKind::Internal, format!("status {status}, {code}")),
        _ => failed(FailureKind::Protocol, format!("status {status}")),
    }
}

/// What the end of a 200 answer means.
fn conclude(summary: &Summary, complete: bool) -> Ended {
    match &summary.failure {
        _ if complete => Ended::Complete {
            load: load(&summary.load),
        },
        Some(refusal) => classify(refusal.code.status(), Some(refusal), None),
        None => protocol("the answer ends without every rendition"),
    }
}

fn limits(dispatcher: &Dispatcher) -> Limits {
    Limits {
        max_part: dispatcher.config.max_rendition_bytes,
        ..Limits::default()
    }
}

/// What is said of a failure may quote the node, so it is made fit for a log.
fn failed(kind: FailureKind, detail: impl std::fmt::Display) -> Ended {
    let detail = detail.to_string();
    let shown = detail.chars().filter(|c| !c.is_control()).take(MAX_DETAIL);
    Ended::Failed {
        kind,
        detail: shown.collect(),
    }
}

fn protocol(detail: impl std::fmt::Display) -> Ended {
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
        match classify(429, Some(&refusal(RefusalCode::NoSlot)), after) {
            Ended::Refused {
                code, retry_after, ..
            } => {
                assert_eq!(
                    (code, retry_after),
                    ("no-slot", Some(Duration::from_millis(250)))
                );
            }
            other => panic!("{other:?}"),
        }
        // A proxy's answer, and one that contradicts itself.
        for lie in [None, Some(refusal(RefusalCode::Undecodable))] {
            let lie = lie.map(|r| Refusal {
                retry_after_ms: None,
                ..r
            });
            match classify(503, lie.as_ref(), after) {
                Ended::Refused {
                    code, retry_after, ..
                } => {
                    assert_eq!((code, retry_after), ("unspecified", after));
                }
                other => panic!("{other:?}"),
            }
        }
        for status in [400, 413, 415, 422] {
            assert!(matches!(classify(status, None, None), Ended::Claim { .. }));
        }
        for (status, expected) in [
            (408, FailureKind::TimedOut),
            (504, FailureKind::TimedOut),
            (500, FailureKind::Internal),
            (502, FailureKind::Internal),
            (204, FailureKind::Protocol),
            (404, FailureKind::Protocol),
        ] {
            match classify(status, None, None) {
                Ended::Failed { kind, .. } => assert_eq!(kind, expected, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_a_node_says_cannot_forge_a_log_line() {
        let said = format!("a\nb\x1b[31m{}", "x".repeat(1000));
        let Ended::Failed { detail, .. } = protocol(said) else {
            panic!("no failure");
        };
        assert!(detail.starts_with("ab[31mx") && detail.len() == MAX_DETAIL);
    }
}
