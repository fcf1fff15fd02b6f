//! A transcode node in its own process, and a client for it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::multipart::{Limits, Part, Reader};
use rackcast_segment::wire::reply::{Refusal, RefusalCode, Summary};
use rackcast_service::drain;
use rackcast_service::process::{Child, Command};
use rackcast_service::status::{self, ServiceStatus};

use super::Segment;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How long anything may take on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `probe` has an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            start.elapsed() < LIMIT,
            "{what} did not come true in {LIMIT:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) at: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Its own directory for temporary files.
    pub(crate) temporary: PathBuf,
    socket: PathBuf,
    file: PathBuf,
    client: Client<HttpConnector, Body>,
    _dir: tempfile::TempDir,
}

impl Node {
    /// Starts a node with this configuration beside the addresses, and waits until it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_program(env!("CARGO_BIN_EXE_rackcast-transcode").as_ref(), config).await
    }

    /// The same with another copy of the program.
    pub(crate) async fn start_program(program: &Path, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("status.sock");
        let file = dir.path().join("transcode.toml");
        let listen = "[listen]\nsegments = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
        let write = format!("status_socket = {socket:?}\n{config}\n{listen}");
        std::fs::write(&file, write).unwrap();
        let temporary = dir.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        let child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .env("TMPDIR", &temporary)
            .spawn()
            .unwrap();
        let status = until("readiness", || async {
            status::fetch(&socket).await.ok().filter(|s| s.ready)
        })
        .await;
        let mut connector = HttpConnector::new();
        // As an ingest does: a head need not wait until what went before it is acknowledged.
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(connector);
        let (at, admin) = (status.endpoints["segments"], status.endpoints["admin"]);
        Self {
            child,
            at,
            admin,
            temporary,
            socket,
            file,
            client,
            _dir: dir,
        }
    }

    /// Puts another configuration in the place of its file and tells it.
    pub(crate) fn reload(&self, config: &str) {
        let socket = &self.socket;
        let listen = "[listen]\nsegments = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
        let text = format!("status_socket = {socket:?}\n{config}\n{listen}");
        std::fs::write(&self.file, text).unwrap();
        self.child.signal(Signal::SIGHUP).unwrap();
    }

    /// Waits until its metrics have this line.
    pub(crate) async fn until_metric(&self, line: &str) {
        until(line, || async {
            let metrics = self.metrics().await;
            metrics.lines().any(|l| l == line).then_some(())
        })
        .await;
    }

    pub(crate) async fn status(&self) -> ServiceStatus {
        status::fetch(&self.socket).await.unwrap()
    }

    /// Has its machine drain, or work again.
    pub(crate) fn drain(&self, drains: bool) {
        let terms = drains.then(drain::Terms::default);
        let order = drain::Order::new("a test", terms, SystemTime::now());
        drain::write(&drain::file_beside(&self.socket), &order).unwrap();
    }

    /// Sends a request over HTTP/2.
    pub(crate) fn send(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Incoming>> + use<> {
        let answer = self.client.request(request);
        async move { answer.await.unwrap() }
    }

    pub(crate) fn post(&self, job: &Job, body: Body) -> Request<Body> {
        let uri = format!("http://{}{SEGMENTS_PATH}", self.at);
        let mut request = Request::post(uri);
        for (name, value) in job.to_headers().unwrap() {
            request = request.header(name, value);
        }
        request.body(body).unwrap()
    }

    /// Sends a segment whole and takes the answer whole.
    pub(crate) async fn transcode(&self, segment: &Segment) -> Result<Answer, Refused> {
        self.submit(segment).await
    }

    /// As [`Self::transcode`], to be spawned.
    pub(crate) fn submit(
        &self,
        segment: &Segment,
    ) -> impl Future<Output = Result<Answer, Refused>> + use<> {
        let request = self.post(&job(segment), full(segment.ts.clone()));
        let sent = self.send(request);
        async move { answer(sent.await).await }
    }

    /// Sends a segment until it is taken. A node that is full is asked again, as an ingest does; anything
    /// else that goes wrong is a failure, and so is that there should be nobody to do it.
    pub(crate) async fn serve(&self, segment: &Segment) {
        until("the segment is served", || async {
            match self.transcode(segment).await {
                Ok(answer) => {
                    assert!(answer.summary.failure.is_none(), "{:?}", answer.summary);
                    assert_eq!(answer.renditions.len(), segment.job.renditions.len());
                    Some(())
                }
                Err(refused) => {
                    let full = [RefusalCode::NoSlot, RefusalCode::DeadlineTooClose];
                    assert!(full.contains(&refused.refusal.code), "{refused:?}");
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    None
                }
            }
        })
        .await;
    }

    /// The load, as a peer sees it.
    pub(crate) async fn load(&self) -> Load {
        let request = Request::get(format!("http://{}/v1/load", self.at)).body(full(Bytes::new()));
        let body = self
            .send(request.unwrap())
            .await
            .into_body()
            .collect()
            .await
            .unwrap();
        serde_json::from_slice(&body.to_bytes()).unwrap()
    }

    /// Waits for a load that fits.
    pub(crate) async fn until_load(&self, what: &str, fits: impl Fn(&Load) -> bool) -> Load {
        until(what, || async { Some(self.load().await).filter(&fits) }).await
    }

    async fn metrics(&self) -> String {
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        raw(self.admin, request.as_bytes()).await
    }

    /// Whether `/metrics` has a line.
    pub(crate) async fn has_metric(&self, line: &str) -> bool {
        self.metrics().await.lines().any(|l| l == line)
    }

    /// A counter by its name and labels; 0 while it has never counted.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        let metrics = self.metrics().await;
        let mut lines = metrics.lines();
        let value = lines.find_map(|l| l.strip_prefix("rackcast_transcode_")?.strip_prefix(name));
        value.map_or(0, |v| v.trim().parse().unwrap())
    }

    /// Workers that ended for this reason.
    pub(crate) async fn ends(&self, reason: &str) -> u64 {
        let (metrics, label) = (self.metrics().await, format!("reason=\"{reason}\""));
        let ends = metrics.lines().filter(|l| {
            l.starts_with("rackcast_transcode_worker_ends_total{") && l.contains(&label)
        });
        let counts = ends.filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok());
        counts.sum()
    }

    /// Jobs that left quarantine with this result.
    pub(crate) async fn quarantined(&self, result: &str) -> u64 {
        self.count(&format!("quarantine_jobs_total{{result=\"{result}\"}}"))
            .await
    }

    /// The worker processes, by the kernel's word.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let pid = self.child.id().unwrap();
        let mut children = Vec::new();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .flatten()
        {
            let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            children.extend(
                list.split_whitespace()
                    .map(|c| Pid::from_raw(c.parse().unwrap())),
            );
        }
        children
    }

    /// The workers whose name begins so: `worker` or `quarantine`.
    pub(crate) fn named(&self, name: &str) -> Vec<Pid> {
        let name = format!("--name={name}-");
        let mut workers = self.workers();
        workers.retain(|pid| {
            let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            arguments.is_ok_and(|a| a.split('\0').any(|a| a.starts_with(&name)))
        });
        workers
    }

    /// Waits until as many jobs have left quarantine with this result.
    pub(crate) async fn until_quarantined(&self, result: &str, jobs: u64) {
        until("the job has left quarantine", || async {
            (self.quarantined(result).await == jobs).then_some(())
        })
        .await;
    }

    /// Files, sockets and the like that the supervisor has open.
    pub(crate) fn open_files(&self) -> usize {
        let pid = self.child.id().unwrap();
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count()
    }

    /// The workers of a device.
    pub(crate) fn on_device(&self, name: &str) -> Vec<Pid> {
        let argument = format!("--device={name}");
        let mut workers = self.named("worker");
        workers.retain(|pid| {
            let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            arguments.is_ok_and(|a| a.split('\0').any(|a| a == argument))
        });
        workers.sort();
        workers
    }

    /// Waits until nothing is left of workers but those that serve: no process, no descriptor, no
    /// shared memory, no file.
    pub(crate) async fn leaves_nothing(&self, workers: usize, open_before: usize) {
        until("only those that serve are left, and no zombie", || async {
            let all = self.workers();
            let alive = |pid: &Pid| state(*pid) != Some('Z');
            (all.len() == workers && all.iter().all(alive)).then_some(())
        })
        .await;
        until("no descriptor is left", || async {
            (self.open_files() <= open_before).then_some(())
        })
        .await;
        let maps = format!("/proc/{}/maps", self.child.id().unwrap());
        let maps = std::fs::read_to_string(maps).unwrap();
        let shared = ["/dev/shm", "memfd:", "SYSV"];
        assert!(!shared.iter().any(|name| maps.contains(name)), "{maps}");
        let files: Vec<_> = std::fs::read_dir(&self.temporary).unwrap().collect();
        assert!(files.is_empty(), "{files:?}");
    }

    pub(crate) fn signal_workers(&self, signal: Signal) {
        for worker in self.workers() {
            // It may have ended by itself in between.
            let _ = kill(worker, signal);
        }
    }
}

/// What came back of a job.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) renditions: Vec<(String, Bytes)>,
    pub(crate) summary: Summary,
}

impl Answer {
    /// Each rendition came once, and is what was asked for.
    pub(crate) fn check(&self, s: &Segment) {
        assert!(self.summary.failure.is_none(), "{:?}", self.summary);
        let names: BTreeSet<_> = self.renditions.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names.len(), self.renditions.len(), "none came twice");
        assert_eq!(names.len(), s.job.renditions.len(), "all came");
        for (name, media) in &self.renditions {
            let mut all = s.job.renditions.iter();
            let spec = all.find(|r| r.name.as_str() == name).unwrap();
            let expect = Expectation {
                spec,
                source: &s.job.source,
                shape: &s.job.shape,
            };
            verify(media, &expect).unwrap();
        }
    }
}

/// An answer that is not 200.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) refusal: Refusal,
}

/// Reads an answer to its end.
pub(crate) async fn answer(response: Response<Incoming>) -> Result<Answer, Refused> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if head.status != StatusCode::OK {
        let refusal = serde_json::from_slice(&body).unwrap();
        return Err(Refused {
            status: head.status,
            headers: head.headers,
            refusal,
        });
    }
    let content_type = head.headers["content-type"].to_str().unwrap();
    let mut reader = Reader::new(content_type, Limits::default()).unwrap();
    reader.push(body);
    let mut renditions = Vec::new();
    let mut summary = None;
    while let Some(part) = reader.next().unwrap() {
        match part {
            Part::Rendition { head, body } => {
                assert!(head.chunk == 0 && head.last);
                renditions.push((head.rendition.to_string(), body));
            }
            Part::Summary(last) => summary = Some(last),
        }
    }
    reader.finish().unwrap();
    Ok(Answer {
        renditions,
        summary: summary.unwrap(),
    })
}

pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// A job with most of a minute to its deadline.
pub(crate) fn job(segment: &Segment) -> Job {
    Job {
        stream: "a1b2c3".parse().unwrap(),
        sequence: rackcast_segment::id::Sequence(7),
        deadline: Duration::from_secs(50),
        attempt: 1,
        quarantine: false,
        spec: segment.job.clone(),
    }
}

/// Sends bytes over TCP, and what comes until the peer closes or nothing comes any more.
pub(crate) async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A job's HTTP/1.1 request up to the empty line.
pub(crate) fn http1_head(job: &Job, more: &str) -> String {
    let mut head = format!("POST {SEGMENTS_PATH} HTTP/1.1\r\nhost: node\r\n{more}");
    for (name, value) in job.to_headers().unwrap() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

/// What the kernel says of a process: `R`, `S`, `Z` and so on; nothing when it is gone.
pub(crate) fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
