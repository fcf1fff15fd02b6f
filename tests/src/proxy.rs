//! A reverse proxy in front of a transcode node that makes the faults which a sound node cannot
//! make, and writes down every segment that the node was asked for.
//!
//! HTTP/2 on both sides, with windows larger than the ingest's and the node's, so that it holds
//! nothing up. What it does to a request is decided when its headers come; probes of the load
//! always pass, so that a node with a fault looks as if it had none. A request that the ingest
//! gives up is given up at the node too.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::multipart::{
    Limits, Part, PartHead, Reader, encode_rendition, encode_summary,
};
use rackcast_segment::wire::reply::{Refusal, RefusalCode};
use rackcast_segment::wire::{LOAD_PATH, SEGMENTS_PATH};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// More than either side's own.
const WINDOW: u32 = 16 << 20;
/// One byte of so many is flipped in corrupt media: no packet of 188 bytes is spared for long.
const ROT: usize = 61;
/// What a node that refuses asks for.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Parts of an answer that may wait for their reader.
const PARTS: usize = 8;

/// What a proxy does to requests for segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Answers come on time, and their media is rotten: here a byte, there a byte.
    Rot,
    /// Answers come on time, and each rendition carries the media of another one.
    Swap,
    /// 429 before the body is read, with `Retry-After` and a load that says that all is taken.
    Refuse,
    /// The body is read, and then nothing happens any more.
    Hang,
    /// The request breaks off after the first part of the answer.
    Break,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Open,
    /// With the whole of an answer that was no 200.
    Status(u16),
    /// With the whole of a 200; what its summary says.
    Complete {
        /// In the node's queue.
        queue: Duration,
        /// At work.
        work: Duration,
    },
    /// The ingest gave it up.
    GivenUp,
    /// The node, or the fault, broke it off.
    Broken,
    /// There is no node.
    Unreachable,
}

/// One request for a segment.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When its headers came.
    pub at: Instant,
    /// What was asked.
    pub job: Job,
    /// What the proxy did to it.
    pub fault: Fault,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
    /// How it ended.
    pub end: End,
    /// When that was.
    pub ended: Option<Instant>,
}

impl Asked {
    /// Its body was taken: it counts as a submission.
    pub fn admitted(&self) -> bool {
        !matches!(self.status, Some(429 | 503)) && self.end != End::Unreachable
    }

    /// How long the node took for it.
    pub fn work(&self) -> Option<Duration> {
        match self.end {
            End::Complete { work, .. } => Some(work),
            _ => None,
        }
    }
}

type Body = UnsyncBoxBody<Bytes, Broken>;
type Sender = mpsc::Sender<Result<Frame<Bytes>, Broken>>;

/// The node, or the fault, broke an answer off.
#[derive(Debug, thiserror::Error)]
#[error("broken off")]
struct Broken;

/// A proxy at work; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    node: SocketAddr,
    client: Client<HttpConnector, Incoming>,
    fault: Mutex<Fault>,
    asked: Mutex<Vec<Asked>>,
    /// Whoever handled a request panicked: the node looks broken for what is the proxy's or the test's fault.
    failed: AtomicBool,
}

/// Held while a request is handled: notes a panic, of which nobody else would hear.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let failed = self.shared.failed.load(Ordering::Relaxed);
        assert!(
            !failed || std::thread::panicking(),
            "the proxy at {} has itself failed, as it says above",
            self.address
        );
    }
}

impl Proxy {
    /// A proxy without a fault in front of the node at this address.
    ///
    /// # Panics
    /// There is no free address.
    pub async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http2_only(true)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            .build_http();
        let shared = Arc::new(Shared {
            node,
            client,
            fault: Mutex::default(),
            asked: Mutex::default(),
            failed: AtomicBool::new(false),
        });
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, Arc::clone(&shared))));
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    /// What happens to requests that come from now on.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// All requests for segments so far, in their order.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection);
            }
            // Connections break; what a request does is guarded.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let _guard = Guard(Arc::clone(&shared));
    match request.uri().path() {
        SEGMENTS_PATH => segment(shared, request).await,
        path => {
            assert_eq!(path, LOAD_PATH, "an ingest asks a node for this");
            let response = shared.forward(request).await.map_err(|_| Broken)?;
            let (head, body) = response.into_parts();
            Ok(Response::from_parts(
                head,
                body.map_err(|_| Broken).boxed_unsync(),
            ))
        }
    }
}

async fn segment(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let headers = request.headers();
    let job = Job::from_headers(|name| headers.get(name).and_then(|v| v.to_str().ok()));
    let fault = *shared.fault.lock().unwrap();
    let entry = Entry::new(&shared, job.expect("a job that a node can read"), fault);
    match fault {
        Fault::Refuse => {
            drop(request);
            Ok(refuse(&entry))
        }
        Fault::Hang => {
            let _body = request.into_body().collect().await;
            std::future::pending().await
        }
        Fault::None | Fault::Rot | Fault::Swap | Fault::Break => {
            let response = match shared.forward(request).await {
                Ok(response) => response,
                Err(end) => {
                    entry.end(end);
                    return Err(Broken);
                }
            };
            Ok(pass(entry, response, fault))
        }
    }
}

impl Shared {
    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>, End> {
        let path = request.uri().path();
        *request.uri_mut() = format!("http://{}{path}", self.node).parse().unwrap();
        let response = self.client.request(request).await;
        response.map_err(|e| match e.is_connect() {
            true => End::Unreachable,
            false => End::Broken,
        })
    }
}

/// The proxy's note of one request. Dropped before its end, the ingest has given up.
struct Entry {
    shared: Arc<Shared>,
    index: usize,
}

impl Entry {
    fn new(shared: &Arc<Shared>, job: Job, fault: Fault) -> Self {
        let mut asked = shared.asked.lock().unwrap();
        asked.push(Asked {
            at: Instant::now(),
            job,
            fault,
            status: None,
            end: End::Open,
            ended: None,
        });
        Self {
            shared: Arc::clone(shared),
            index: asked.len() - 1,
        }
    }

    fn note(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.shared.asked.lock().unwrap()[self.index]);
    }

    fn end(&self, end: End) {
        self.note(|asked| {
            if asked.end == End::Open {
                (asked.end, asked.ended) = (end, Some(Instant::now()));
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(End::GivenUp);
    }
}

fn refuse(entry: &Entry) -> Response<Body> {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let load = Load {
        slots: 1,
        busy: 1,
        queued: 1,
        pixel_rate: 0.0,
        wait_ms: u64::try_from(RETRY_AFTER.as_millis()).unwrap(),
        draining: false,
    };
    let refusal = Refusal {
        code: RefusalCode::NoSlot,
        message: "every slot and the queue are taken".to_owned(),
        retry_after_ms: Some(load.wait_ms),
        load: Some(load),
    };
    entry.note(|asked| asked.status = Some(status.as_u16()));
    entry.end(End::Status(status.as_u16()));
    let never = |e: Infallible| match e {};
    let body = Full::new(serde_json::to_vec(&refusal).unwrap().into());
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::RETRY_AFTER, RETRY_AFTER.as_secs().max(1))
        .body(body.map_err(never).boxed_unsync())
        .unwrap()
}

/// Passes a node's answer on, as the fault will have it.
fn pass(entry: Entry, response: Response<Incoming>, fault: Fault) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    entry.note(|asked| asked.status = Some(head.status.as_u16()));
    let (to, mut frames) = mpsc::channel(PARTS);
    let answer = StreamBody::new(stream::poll_fn(move |context| frames.poll_recv(context)));
    if head.status == StatusCode::OK {
        // A fault may change lengths.
        head.headers.remove(header::CONTENT_LENGTH);
        let kind = head.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        tokio::spawn(parts(entry, kind, body, to, fault));
    } else {
        tokio::spawn(whole(entry, head.status, body, to));
    }
    Response::from_parts(head, answer.boxed_unsync())
}

async fn whole(entry: Entry, status: StatusCode, body: Incoming, to: Sender) {
    let _guard = Guard(Arc::clone(&entry.shared));
    let (end, frame) = match body.collect().await {
        Ok(body) => (
            End::Status(status.as_u16()),
            Ok(Frame::data(body.to_bytes())),
        ),
        Err(_) => (End::Broken, Err(Broken)),
    };
    if to.send(frame).await.is_ok() {
        entry.end(end);
    }
}

async fn parts(entry: Entry, kind: String, mut body: Incoming, to: Sender, fault: Fault) {
    let _guard = Guard(Arc::clone(&entry.shared));
    let mut reader = Reader::new(&kind, Limits::default()).expect("a node's answer is multipart");
    let mut held = None;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            // The ingest has lost its interest, perhaps while the node is at work.
            () = to.closed() => return,
        };
        let mut broken = false;
        match frame {
            Some(Ok(frame)) => reader.push(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => broken = true,
            None => return,
        }
        while let Some(part) = reader.next().expect("a node's answer can be read") {
            if let Part::Summary(summary) = &part {
                let (queue, work) = (summary.queue_ms, summary.work_ms);
                let (queue, work) = (Duration::from_millis(queue), Duration::from_millis(work));
                entry.end(End::Complete { queue, work });
            }
            for bytes in spoil(part, fault, &mut held) {
                if to.send(Ok(Frame::data(bytes))).await.is_err() {
                    return;
                }
            }
            broken |= fault == Fault::Break;
        }
        if broken {
            entry.end(End::Broken);
            // Whoever has gone in the meantime does not mind.
            let _gone = to.send(Err(Broken)).await;
            return;
        }
    }
}

/// A part of an answer as the fault will have it; `held` is a rendition that waits for another
/// one to change places with.
fn spoil(part: Part, fault: Fault, held: &mut Option<(PartHead, Bytes)>) -> Vec<Bytes> {
    let with_head = |head: &PartHead, body: Bytes| [encode_rendition(head, body.len()), body];
    match (part, fault) {
        (Part::Summary(summary), _) => vec![encode_summary(&summary)],
        (Part::Rendition { head, body }, Fault::Rot) => with_head(&head, rot(&body)).into(),
        (Part::Rendition { head, body }, Fault::Swap) => match held.take() {
            None => {
                *held = Some((head, body));
                Vec::new()
            }
            Some((other, others)) => [with_head(&head, others), with_head(&other, body)].concat(),
        },
        (Part::Rendition { head, body }, _) => with_head(&head, body).into(),
    }
}

fn rot(media: &Bytes) -> Bytes {
    let mut media = media.to_vec();
    media.iter_mut().step_by(ROT).for_each(|byte| *byte ^= 0x55);
    media.into()
}
