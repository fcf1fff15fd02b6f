//! A transcode node that does as it is told, over real HTTP/2 on a real socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::HEADER_ENCODER;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::multipart::{PartHead, content_type, encode_rendition, encode_summary};
use rackcast_segment::wire::reply::{Refusal, RefusalCode, Summary};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::media;

/// How long an address is waited for.
const BIND: Duration = Duration::from_secs(10);

/// What a node sends, and when.
pub enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Waits for the test.
    Until(CancellationToken),
    /// Never anything again.
    Hang,
    /// Resets the stream.
    Reset,
    /// Drops every connection.
    Die,
}

/// How a node treats the request's body.
#[derive(Clone, Copy)]
pub enum Body {
    Read,
    /// In small pieces, with pauses.
    ReadSlowly,
    Ignore,
}

/// One answer.
pub struct Script {
    pub body: Body,
    pub status: u16,
    pub content_type: String,
    pub steps: Vec<Step>,
}

/// Makes the answer to a job.
pub type Answer = Box<dyn Fn(&Job) -> Script + Send>;

/// A running node.
pub struct Node {
    pub addr: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
}

struct State {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Job>>,
    cancelled: AtomicU32,
    goaway: Mutex<CancellationToken>,
    encoder: Mutex<Option<String>>,
    die: CancellationToken,
}

/// Of a node that rises again somebody else may have the port for a moment, for a connection of theirs.
async fn bind(address: SocketAddr) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(e) => assert!(begun.elapsed() < BIND, "{address}: {e}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Node {
    /// A node that gives these answers, one after another, and good ones after them.
    pub async fn start(answers: Vec<Answer>) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), answers).await
    }

    /// A node at this address.
    pub async fn at(address: SocketAddr, answers: Vec<Answer>) -> Self {
        let listener = bind(address).await;
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            answers: Mutex::new(answers.into()),
            seen: Mutex::default(),
            cancelled: AtomicU32::new(0),
            goaway: Mutex::default(),
            encoder: Mutex::default(),
            die: stop.clone(),
        });
        let serve = serve(listener, Arc::clone(&state));
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = serve => {}
            }
        });
        Self { addr, state, stop }
    }

    /// Jobs that arrived.
    pub fn seen(&self) -> Vec<Job> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Requests that the ingest gave up.
    pub fn cancelled(&self) -> u32 {
        self.state.cancelled.load(Ordering::SeqCst)
    }

    /// From now on it says that renditions were made by this encoder's quality.
    pub fn names_encoder(&self, name: &str) {
        *self.state.encoder.lock().unwrap() = Some(name.to_owned());
    }

    /// Ends every connection politely: GOAWAY, and what runs is finished.
    pub fn go_away(&self) {
        let mut token = self.state.goaway.lock().unwrap();
        std::mem::take(&mut *token).cancel();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let goaway = state.goaway.lock().unwrap().clone();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| handle(Arc::clone(&state), request));
            // The smallest window, so that an upload can be stopped in the middle.
            let connection = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(65_535)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = state.die.cancelled() => {}
                () = goaway.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        });
    }
}

/// Counts a request that is dropped before it was answered whole.
struct Guard(Option<Arc<State>>);

impl Guard {
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            state.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let (parts, mut body) = request.into_parts();
    if parts.uri.path() == "/v1/load" {
        let json = serde_json::to_vec(&load()).unwrap();
        return Ok(reply(200, "application/json", Full::from(json)));
    }
    let job = Job::from_headers(|name| parts.headers.get(name)?.to_str().ok()).unwrap();
    let answer = state.answers.lock().unwrap().pop_front();
    let script = answer.map_or_else(|| well(&job), |answer| answer(&job));
    state.seen.lock().unwrap().push(job);
    let guard = Guard(Some(Arc::clone(&state)));
    match script.body {
        Body::Ignore => {}
        Body::Read | Body::ReadSlowly => {
            while let Some(Ok(_)) = body.frame().await {
                if matches!(script.body, Body::ReadSlowly) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
    let encoder = state.encoder.lock().unwrap().clone();
    // A script that begins with a pause has not answered yet, not even with a status.
    let mut steps = VecDeque::from(script.steps);
    while let Some(Step::Wait(_) | Step::Hang | Step::Die) = steps.front() {
        match steps.pop_front() {
            Some(Step::Wait(d)) => tokio::time::sleep(d).await,
            Some(Step::Die) => state.die.cancel(),
            _ => std::future::pending().await,
        }
    }
    let frames = stream::unfold(
        (steps, guard, state),
        |(mut steps, mut guard, state)| async move {
            loop {
                match steps.pop_front() {
                    Some(Step::Send(bytes)) => {
                        return Some((Ok(Frame::data(bytes)), (steps, guard, state)));
                    }
                    Some(Step::Wait(d)) => tokio::time::sleep(d).await,
                    Some(Step::Until(go)) => go.cancelled().await,
                    Some(Step::Hang) => std::future::pending().await,
                    Some(Step::Die) => state.die.cancel(),
                    Some(Step::Reset) => {
                        guard.disarm();
                        let error = std::io::Error::other("told to");
                        return Some((Err(error), (steps, guard, state)));
                    }
                    None => {
                        guard.disarm();
                        return None;
                    }
                }
            }
        },
    );
    let mut reply = reply(script.status, &script.content_type, StreamBody::new(frames));
    if let Some(encoder) = encoder {
        let value = encoder.try_into().unwrap();
        reply.headers_mut().insert(HEADER_ENCODER, value);
    }
    Ok(reply)
}

fn reply<B>(status: u16, content_type: &str, body: B) -> Reply
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body.map_err(std::io::Error::other).boxed_unsync())
        .unwrap()
}

fn load() -> Load {
    Load {
        slots: 4,
        busy: 0,
        queued: 0,
        pixel_rate: 1e8,
        wait_ms: 0,
        draining: false,
    }
}

/// A rendition as it travels.
pub fn part(name: &RenditionName, media: &Bytes) -> Bytes {
    let head = PartHead {
        rendition: name.clone(),
        chunk: 0,
        last: true,
    };
    chunk(&head, media)
}

/// A chunk of a rendition as it travels.
pub fn chunk(head: &PartHead, media: &[u8]) -> Bytes {
    [&encode_rendition(head, media.len()), media]
        .concat()
        .into()
}

/// The end of an answer.
pub fn summary(failure: Option<RefusalCode>) -> Bytes {
    encode_summary(&Summary {
        failure: failure.map(refusal),
        ..work(Duration::from_millis(1))
    })
}

fn work(time: Duration) -> Summary {
    Summary {
        renditions: Vec::new(),
        failure: None,
        device: "cpu0".to_owned(),
        queue_ms: 0,
        work_ms: u64::try_from(time.as_millis()).unwrap(),
        frames: 7,
        load: load(),
    }
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal {
        code,
        message: "told to".to_owned(),
        retry_after_ms: matches!(code, RefusalCode::NoSlot).then_some(300),
        load: Some(load()),
    }
}

/// An answer that sends these steps.
pub fn sends(steps: Vec<Step>) -> Script {
    Script {
        body: Body::Read,
        status: 200,
        content_type: content_type(),
        steps,
    }
}

/// Every rendition that was asked, then the summary.
pub fn well(job: &Job) -> Script {
    let media = media::rendition();
    let names = job.spec.renditions.iter().map(|r| &r.name);
    let mut steps: Vec<_> = names.map(|name| Step::Send(part(name, &media))).collect();
    steps.push(Step::Send(summary(None)));
    sends(steps)
}

/// An answer that depends on the job.
pub fn answer(f: impl Fn(&Job) -> Script + Send + 'static) -> Answer {
    Box::new(f)
}

/// An answer that never begins.
pub fn stall() -> Answer {
    answer(|_| sends(vec![Step::Hang]))
}

/// A good answer that begins after a while.
pub fn late(pause: Duration) -> Answer {
    answer(move |job| {
        let mut script = well(job);
        script.steps.insert(0, Step::Wait(pause));
        script
    })
}

/// A good answer after so much work.
pub fn works_for(time: Duration) -> Answer {
    answer(move |job| {
        let mut script = well(job);
        script.steps.insert(0, Step::Wait(time));
        script.steps.pop();
        script.steps.push(Step::Send(encode_summary(&work(time))));
        script
    })
}

/// Before the body is read.
pub fn refuses(code: RefusalCode) -> Answer {
    Box::new(move |_| Script {
        body: Body::Ignore,
        status: code.status(),
        content_type: "application/json".to_owned(),
        steps: vec![Step::Send(
            serde_json::to_vec(&refusal(code)).unwrap().into(),
        )],
    })
}

/// The first rendition as it should be, then, when the test says so, `steps`.
pub fn first_then(go: &CancellationToken, steps: Vec<Step>) -> Answer {
    let steps = Mutex::new((go.clone(), steps));
    Box::new(move |job| {
        let (go, rest) = std::mem::take(&mut *steps.lock().unwrap());
        let first = part(&job.spec.renditions[0].name, &media::rendition());
        let mut all = vec![Step::Send(first), Step::Until(go)];
        all.extend(rest);
        sends(all)
    })
}
