//! Chromium as a player: a page of ours, hls.js or the browser's own HLS, and a report of what
//! it played.
//!
//! The page is served here, on another origin than the stream, so cross-origin rules apply as
//! they do to real players. It measures for itself and posts its report back; no browser
//! driver is needed.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::process::Process;
use crate::wait::wait_for;

/// Time for the browser to start, and for the page to give up by itself.
const SLACK: Duration = Duration::from_secs(30);

/// How the page plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// hls.js, each level in turn.
    HlsJs,
    /// hls.js as it pleases.
    Stay,
    /// The browser's own HLS.
    Native,
}

/// What the page says it played.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Report {
    /// One entry a level that was played.
    pub levels: Vec<Level>,
    /// Errors that stopped playing.
    pub fatal: Vec<String>,
    /// Errors that did not.
    pub errors: Vec<String>,
}

/// What was played of one level.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Level {
    /// What the playlist says.
    pub asked_height: u32,
    /// Height of the decoded picture.
    pub height: u32,
    /// Seconds of media played.
    pub seconds: f64,
    /// Pictures shown.
    pub frames: u32,
    /// Pictures dropped.
    pub dropped: u32,
    /// Bytes of audio decoded.
    pub audio_bytes: u64,
}

#[derive(Debug)]
struct Page {
    html: Bytes,
    script: Bytes,
    started: Mutex<Option<oneshot::Sender<()>>>,
    report: Mutex<Option<Bytes>>,
}

/// Plays a stream in headless Chromium and gives its report.
///
/// # Panics
/// No report came; the page itself gives up at the limit and reports why.
pub async fn play(master: &str, engine: Engine, seconds: u32, limit: Duration) -> Report {
    watch(master, engine, seconds, limit, oneshot::channel().0).await
}

/// The same; the sender is used once pictures move.
///
/// # Panics
/// No report came; the page itself gives up at the limit and reports why.
pub async fn watch(
    master: &str,
    engine: Engine,
    seconds: u32,
    limit: Duration,
    started: oneshot::Sender<()>,
) -> Report {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let page = Arc::new(Page {
        html: std::fs::read(web.join("player.html")).unwrap().into(),
        script: std::fs::read(web.join("node_modules/hls.js/dist/hls.min.js"))
            .expect("hls.js is missing: tools/install-deps test")
            .into(),
        started: Mutex::new(Some(started)),
        report: Mutex::new(None),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = match engine {
        Engine::HlsJs => "levels",
        Engine::Stay => "stay",
        Engine::Native => "native",
    };
    let mut address =
        url::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    address
        .query_pairs_mut()
        .append_pair("src", master)
        .append_pair("engine", engine)
        .append_pair("seconds", &seconds.to_string())
        .append_pair("limit", &limit.as_secs().to_string());

    let server = tokio::spawn(serve(listener, Arc::clone(&page)));
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Process::start(
        Command::new(chromium())
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--disable-sync", "--disable-quic", "--mute-audio"])
            .arg("--autoplay-policy=no-user-gesture-required")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(address.as_str()),
    );
    let report = wait_for("the browser's report", limit + SLACK, || {
        assert!(chromium.ended().is_none(), "the browser ended");
        std::future::ready(page.report.lock().unwrap().take())
    })
    .await;
    server.abort();
    serde_json::from_slice(&report).unwrap_or_else(|e| panic!("{e} in {report:?}"))
}

fn chromium() -> PathBuf {
    std::env::var_os("CHROMIUM_BIN").map_or_else(|| "chromium".into(), PathBuf::from)
}

async fn serve(listener: TcpListener, page: Arc<Page>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let page = Arc::clone(&page);
        let service = service_fn(move |request| answer(Arc::clone(&page), request));
        connections.spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service),
        );
    }
}

async fn answer(
    page: Arc<Page>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => (200, "text/html", page.html.clone()),
        (&Method::GET, "/hls.js") => (200, "text/javascript", page.script.clone()),
        (&Method::POST, "/started") => {
            if let Some(started) = page.started.lock().unwrap().take() {
                // Not everybody waits for it.
                let _unheard = started.send(());
            }
            (204, "text/plain", Bytes::new())
        }
        (&Method::POST, "/report") => {
            let report = request.into_body().collect().await.unwrap().to_bytes();
            *page.report.lock().unwrap() = Some(report);
            (204, "text/plain", Bytes::new())
        }
        _ => (404, "text/plain", Bytes::new()),
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", kind);
    Ok(response.body(Full::new(body)).unwrap())
}
