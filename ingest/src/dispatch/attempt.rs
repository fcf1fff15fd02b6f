//! One request to one node: send the segment, read and verify what comes back.
//!
//! An attempt is a stream of [`Progress`] that its segment's task polls; dropping it resets the
//! request, which frees the node's slot. Verification parses a whole rendition, some
//! milliseconds of processor time for a segment of 1080p, so it runs on the blocking pool and
//! never holds up the reactor. An attempt waits for it before it reads on: what the node sends
//! meanwhile waits in the stream's flow-control window, so no more than one unverified
//! rendition per attempt is ever held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use rackcast_route::Endpoint;
use rackcast_route::table::FailureKind;
use rackcast_segment::rate::EncoderName;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_segment::wire::multipart::{Limits, Part, PartHead, Reader};
use rackcast_segment::wire::reply::{Refusal, Summary};

use super::answer::{Ended, classify, conclude, failed, protocol};
use super::assembler::Assembler;
use super::link::Link;
use super::{Dispatcher, Made};

/// The most bytes of an answer that is not 200.
const MAX_REFUSAL: usize = 64 << 10;

/// What comes of an attempt: any number of renditions, then its end.
#[derive(Debug)]
pub(super) enum Progress {
    /// A rendition came and is the answer to the question.
    Rendition {
        /// Its position among the renditions that the job asks for.
        position: usize,
        media: Bytes,
        made: Made,
    },
    /// Nothing more comes.
    Ended(Ended),
}

/// A request that is to be sent.
pub(super) struct Attempt {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) endpoint: Endpoint,
    pub(super) job: Job,
    pub(super) body: Bytes,
}

impl Attempt {
    /// Sends the request and tells what comes of it.
    pub(super) fn run(self) -> impl Stream<Item = Progress> + Send {
        stream::unfold(Stage::Unsent(Box::new(self)), |stage| async {
            let answer = match stage {
                Stage::Unsent(attempt) => attempt.send().await,
                Stage::Answered(answer) => Ok(answer),
                Stage::Over => return None,
            };
            let next = match answer {
                Ok(answer) => answer.next().await,
                Err(ended) => Err(ended),
            };
            Some(match next {
                Ok((progress, answer)) => (progress, Stage::Answered(answer)),
                Err(ended) => (Progress::Ended(ended), Stage::Over),
            })
        })
    }

    /// # Errors
    /// There is no answer to read from; how the attempt ended.
    async fn send(self) -> Result<Box<Answer>, Ended> {
        let request = self.request()?;
        let link = self.dispatcher.pool.link(&self.endpoint);
        let response = link.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|v| v.to_str().ok());
        let limits = Limits {
            max_part: self.dispatcher.config.load().max_rendition_bytes,
            ..Limits::default()
        };
        let encoder = response.headers().get(wire::HEADER_ENCODER);
        let encoder = encoder.and_then(|v| v.to_str().ok()?.parse().ok());
        let reader = Reader::new(content_type.unwrap_or_default(), limits).map_err(protocol)?;
        Ok(Box::new(Answer {
            dispatcher: self.dispatcher,
            missing: self.job.spec.renditions.iter().map(|_| true).collect(),
            spec: Arc::new(self.job.spec),
            reader,
            encoder,
            body: response.into_body(),
            assembler: Assembler::default(),
            summary: None,
            _link: link,
        }))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Ended> {
        let (scheme, path) = (self.endpoint.scheme(), wire::SEGMENTS_PATH);
        let uri = format!("{scheme}://{}{path}", self.endpoint);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "video/mp2t");
        for (name, value) in self.job.to_headers().map_err(protocol)? {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).map_err(protocol)
    }
}

enum Stage {
    Unsent(Box<Attempt>),
    Answered(Box<Answer>),
    Over,
}

/// An answer that is being read.
struct Answer {
    dispatcher: Arc<Dispatcher>,
    spec: Arc<JobSpec>,
    /// For each rendition of the job, whether it is still to come.
    missing: Vec<bool>,
    reader: Reader,
    /// By whose quality it was made, as far as the node says.
    encoder: Option<EncoderName>,
    body: Incoming,
    assembler: Assembler,
    summary: Option<Summary>,
    /// Keeps the connection open, even if the catalog drops the node meanwhile.
    _link: Arc<Link>,
}

impl Answer {
    /// Reads up to the next whole rendition.
    ///
    /// # Errors
    /// The attempt is over, well or not.
    async fn next(mut self: Box<Self>) -> Result<(Progress, Box<Self>), Ended> {
        loop {
            while let Some(part) = self.reader.next().map_err(protocol)? {
                match part {
                    Part::Rendition { head, body } => {
                        if let Some((position, media)) = self.chunk(head, body)? {
                            let bits = self.verify(position, &media).await?;
                            let encoder = self.encoder.clone();
                            let made = Made { bits, encoder };
                            let progress = Progress::Rendition {
                                position,
                                media,
                                made,
                            };
                            return Ok((progress, self));
                        }
                    }
                    Part::Summary(summary) => self.summary = Some(summary),
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.reader.push(data);
                    }
                }
                Some(Err(e)) => return Err(failed(FailureKind::Broken, e)),
                None => return Err(self.end()),
            }
        }
    }

    /// Takes a chunk; the rendition that it makes whole, and its position in the job.
    fn chunk(&mut self, head: PartHead, chunk: Bytes) -> Result<Option<(usize, Bytes)>, Ended> {
        let specs = self.spec.renditions.iter().zip(&mut self.missing);
        let asked = specs
            .enumerate()
            .find(|(_, (r, _))| r.name == head.rendition);
        let Some((position, (_, missing))) = asked.filter(|(_, (_, missing))| **missing) else {
            let name = head.rendition;
            return Err(protocol(format!(
                "{name} was not asked for, or came before"
            )));
        };
        let limit = self.dispatcher.config.load().max_rendition_bytes;
        let whole = self.assembler.push(head, chunk, limit).map_err(protocol)?;
        Ok(whole.map(|(_, media)| {
            *missing = false;
            (position, media)
        }))
    }

    /// Is this rendition the answer to its question? The bits of its video.
    async fn verify(&self, position: usize, media: &Bytes) -> Result<u64, Ended> {
        let (job, media) = (Arc::clone(&self.spec), media.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let spec = job.renditions.get(position)?;
            let expect = Expectation {
                spec,
                source: &job.source,
                shape: &job.shape,
            };
            let verdict = verify(&media, &expect).map(|verified| verified.bits);
            Some((verdict, began.elapsed(), spec.name.clone()))
        });
        // The blocking pool refuses work only while the process shuts down.
        let Ok(Some((verdict, took, name))) = checked.await else {
            return Err(failed(FailureKind::Broken, "the ingest is shutting down"));
        };
        let metrics = &self.dispatcher.metrics;
        metrics.verification.observe(took.as_secs_f64());
        verdict.map_err(|defect| {
            metrics.defects.with_label_values(&[defect.as_str()]).inc();
            failed(FailureKind::WrongMedia, format!("{name}: {defect}"))
        })
    }

    /// What the answer's end means.
    fn end(mut self) -> Ended {
        if let Err(e) = self.reader.finish() {
            let kind = match e.is_truncated() {
                true => FailureKind::Broken,
                false => FailureKind::Protocol,
            };
            return failed(kind, e);
        }
        match self.summary {
            Some(summary) => conclude(&summary, !self.missing.contains(&true)),
            None => protocol("the answer has no summary"),
        }
    }
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
