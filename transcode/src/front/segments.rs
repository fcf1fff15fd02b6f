//! `POST /v1/segments`: headers, admission, body, worker, answer.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::reply::RefusalCode;
use tokio::time::timeout_at;

use super::answer::Answer;
use super::refuse::{No, check};
use super::{Body, Front, Peer};
use crate::scheduler::{Event, Place};

/// Answers a request; whatever is refused is counted and told.
pub(super) async fn handle(
    front: &Front,
    peer: Peer,
    request: Request<Incoming>,
) -> Response<Body> {
    match transcode(front, peer, request).await {
        Ok(answer) => answer.into_response(),
        Err(no) => {
            front.scheduler.metrics.jobs.refuse(no.reason);
            log::debug!(rackcast_reason = no.reason; "refused: {}", no.message);
            no.into_response(front.scheduler.load())
        }
    }
}

async fn transcode(front: &Front, peer: Peer, request: Request<Incoming>) -> Result<Answer, No> {
    let now = Instant::now();
    let headers = request.headers();
    let header = |name: &'static str| headers.get(name).and_then(|v| v.to_str().ok());
    let job = Job::from_headers(header)?;
    let length = header(header::CONTENT_LENGTH.as_str()).and_then(|v| v.parse().ok());
    check(&job, length, &front.config)?;

    let deadline = now + job.deadline.min(front.config.max_deadline);
    let place = front.scheduler.admit(peer.caller, deadline, &job)?;
    let segment = upload(
        request.into_body(),
        &job,
        &place,
        now + front.config.body_timeout,
    )
    .await?;

    let stream = job.stream.to_string();
    let sequence = job.sequence.0;
    let mut events = place.submit(job, segment);
    // The status line waits for the first event: until then a failure can still be one.
    match timeout_at(deadline.into(), events.recv()).await {
        Ok(Some(Event::Failed { code, message })) => {
            log::warn!(
                rackcast_token = stream, rackcast_segment = sequence,
                rackcast_reason = code.as_str();
                "the segment was not transcoded: {message}"
            );
            Err(No::new(code, message))
        }
        Ok(Some(first)) => {
            let until = deadline + front.config.answer_timeout;
            let under_way = peer.untaken.begin(until);
            let scheduler = front.scheduler.clone();
            Ok(Answer::new(place, first, events, scheduler, under_way))
        }
        Ok(None) => Err(No::new(RefusalCode::Internal, "the node is stopping")),
        Err(_) => Err(No::new(
            RefusalCode::DeadlinePassed,
            "no worker was free in time",
        )),
    }
}

/// The body, exactly as long as announced, by the earlier of `limit` and the deadline.
async fn upload(mut body: Incoming, job: &Job, place: &Place, limit: Instant) -> Result<Bytes, No> {
    let announced = usize::try_from(job.spec.source.bytes).unwrap_or(usize::MAX);
    let reading = async {
        // Grows with what has come, not with what was promised.
        let mut segment = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| {
                No::new(RefusalCode::BadRequest, format!("the body broke off: {e}"))
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if segment.len() + data.len() > announced {
                let text = format!("the body is longer than the {announced} bytes announced");
                return Err(No::new(RefusalCode::TooLarge, text));
            }
            segment.extend_from_slice(&data);
        }
        if segment.len() < announced {
            let text = format!("{} of {announced} bytes came", segment.len());
            return Err(No::new(RefusalCode::BadRequest, text));
        }
        Ok(segment.freeze())
    };
    match timeout_at(limit.min(place.deadline).into(), reading).await {
        Ok(result) => result,
        Err(_) if place.deadline <= limit => Err(No::new(
            RefusalCode::DeadlinePassed,
            "the deadline passed during the upload",
        )),
        Err(_) => Err(No::new(
            RefusalCode::BodyTimeout,
            "the body did not come in time",
        )),
    }
}
