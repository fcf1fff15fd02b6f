//! The answer: a part as soon as its rendition is finished, the summary last.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use hyper::body::Frame;
use rackcast_segment::id::RenditionName;
use rackcast_segment::rate::EncoderName;
use rackcast_segment::wire::HEADER_ENCODER;
use rackcast_segment::wire::multipart::{PartHead, content_type, encode_rendition, encode_summary};
use rackcast_segment::wire::reply::{RefusalCode, Summary};
use tokio::sync::mpsc;

use super::Body;
use super::refuse::No;
use super::untaken::UnderWay;
use crate::scheduler::{Event, Place, Scheduler};

/// The body of a 200. Dropping it before its end withdraws the job.
pub(super) struct Answer {
    place: Option<Place>,
    events: mpsc::Receiver<Event>,
    ready: VecDeque<Bytes>,
    sent: Vec<RenditionName>,
    /// By whose quality they were made.
    encoder: Option<EncoderName>,
    scheduler: Arc<Scheduler>,
    _under_way: UnderWay,
}

impl Answer {
    pub(super) fn new(
        place: Place,
        first: Event,
        events: mpsc::Receiver<Event>,
        scheduler: Arc<Scheduler>,
        under_way: UnderWay,
    ) -> Self {
        let (place, ready, sent) = (Some(place), VecDeque::new(), Vec::new());
        let mut answer = Self {
            place,
            events,
            ready,
            sent,
            encoder: None,
            scheduler,
            _under_way: under_way,
        };
        answer.take(first);
        answer
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let encoder = self.encoder.clone();
        let mut response = Response::new(self.boxed_unsync());
        if let Ok(value) = HeaderValue::try_from(content_type()) {
            response.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        let encoder = encoder.and_then(|name| HeaderValue::try_from(name.as_str()).ok());
        if let Some(value) = encoder {
            response.headers_mut().insert(HEADER_ENCODER, value);
        }
        response
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Rendition {
                name,
                media,
                encoder,
            } => {
                self.encoder = self.encoder.take().or(encoder);
                let head = PartHead {
                    rendition: name.clone(),
                    chunk: 0,
                    last: true,
                };
                self.ready.push_back(encode_rendition(&head, media.len()));
                self.ready.push_back(media);
                self.sent.push(name);
            }
            Event::Done {
                frames,
                queued,
                worked,
                device,
            } => {
                let summary = Summary {
                    device: device.to_string(),
                    queue_ms: millis(queued),
                    work_ms: millis(worked),
                    frames,
                    ..self.summary()
                };
                self.end(&summary);
            }
            Event::Failed { code, message } => {
                let no = No::new(code, message);
                self.scheduler.metrics.jobs.refuse(no.reason);
                let summary = self.summary();
                self.end(&Summary {
                    failure: Some(no.into_refusal(summary.load.clone())),
                    ..summary
                });
            }
        }
    }

    /// Of what was sent, and of nothing else.
    fn summary(&mut self) -> Summary {
        Summary {
            renditions: std::mem::take(&mut self.sent),
            failure: None,
            device: String::new(),
            queue_ms: 0,
            work_ms: 0,
            frames: 0,
            load: self.scheduler.load(),
        }
    }

    fn end(&mut self, summary: &Summary) {
        // The work is over: what is left to send needs no place.
        self.place = None;
        self.ready.push_back(encode_summary(summary));
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.place.is_none() {
                return Poll::Ready(None);
            }
            let event = match self.events.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(event) => event,
            };
            self.take(event.unwrap_or_else(|| Event::Failed {
                code: RefusalCode::Internal,
                message: "the node is stopping".to_owned(),
            }));
        }
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
