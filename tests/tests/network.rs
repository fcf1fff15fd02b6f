//! What the tests put between an ingest and its nodes does what it says; and a real node behind
//! 100 ms of network is used at the line's full speed and refuses in the middle of an upload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rackcast_ingest::dispatch::LinkConfig;
use rackcast_segment::id::RenditionName;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::multipart::{self, Part, Reader};
use rackcast_segment::wire::reply::{Refusal, RefusalCode};
use rackcast_tests::fleet::{Directory, Site};
use rackcast_tests::job;
use rackcast_tests::player::{Player, Recording, Track};
use rackcast_tests::proxy::{End, Fault, Proxy};
use rackcast_tests::publish::{Broadcaster, Sample, noise};
use rackcast_tests::rack::{Ingest, Node};
use rackcast_tests::wait::wait_until;
use rackcast_tests::wire::Direction;
use tokio::net::TcpStream;

/// Each way.
const LATENCY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);

fn small() -> (Job, Bytes) {
    let sample = Sample {
        seconds: 4,
        width: 160,
        height: 90,
        audio: false,
        ..Sample::default()
    };
    job::first(&sample.file(), "90p@100k,low:72@60k")
}

/// An ingest of streams whose renditions are as large as their source.
async fn ingest(directory: &Directory) -> Ingest {
    let ladder = "[auth]\nmode = \"open\"\n[stream]\nladder = \"180p@10000k\"";
    Ingest::on(&directory.url, 1, ladder).await
}

/// A connection as an ingest makes it.
async fn connect(address: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let link = LinkConfig::default();
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(link.stream_window)
        .initial_connection_window_size(link.connection_window)
        .adaptive_window(false)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn post(
    sender: &mut SendRequest<Full<Bytes>>,
    job: &Job,
    body: &Bytes,
) -> hyper::Result<Response<Incoming>> {
    let mut request = Request::post(format!("http://node{SEGMENTS_PATH}"));
    for (name, value) in job.to_headers().unwrap() {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.clone())).unwrap();
    sender.send_request(request).await
}

/// The renditions of a 200, or what broke.
async fn renditions(response: Response<Incoming>) -> Result<Vec<(RenditionName, Bytes)>, String> {
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap();
    let mut reader = Reader::new(kind, multipart::Limits::default()).unwrap();
    let body = response.into_body().collect().await;
    reader.push(body.map_err(|e| e.to_string())?.to_bytes());
    let mut renditions = Vec::new();
    while let Some(part) = reader.next().unwrap() {
        if let Part::Rendition { head, body } = part {
            renditions.push((head.rendition, body));
        }
    }
    reader.finish().map_err(|e| e.to_string())?;
    Ok(renditions)
}

/// How many of these an ingest would publish.
fn sound(job: &Job, renditions: &[(RenditionName, Bytes)]) -> usize {
    let is_sound = |(name, media): &&(RenditionName, Bytes)| {
        let spec = job.spec.renditions.iter().find(|r| r.name == *name);
        let expect = Expectation {
            spec: spec.unwrap(),
            source: &job.spec.source,
            shape: &job.spec.shape,
        };
        verify(media, &expect).is_ok()
    };
    renditions.iter().filter(is_sound).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_passes_spoils_refuses_hangs_and_breaks_and_notes_it() {
    let node = Node::start("[worker]\ncount = 1").await;
    let proxy = Proxy::start(node.address).await;
    let mut sender = connect(proxy.address).await;
    let (job, body) = small();
    let asked = || proxy.asked().pop().unwrap();

    // Twice, since one request that was broken off must not spoil the next one.
    for _ in 0..2 {
        for (fault, good) in [(Fault::None, 2), (Fault::Rot, 0), (Fault::Swap, 0)] {
            proxy.set(fault);
            let response = post(&mut sender, &job, &body).await.unwrap();
            let answer = renditions(response).await.unwrap();
            assert_eq!((answer.len(), sound(&job, &answer)), (2, good), "{fault:?}");
            assert!(
                asked().admitted() && asked().work().is_some(),
                "{:?}",
                asked()
            );
            assert_eq!((asked().fault, &asked().job), (fault, &job));
        }

        proxy.set(Fault::Refuse);
        let response = post(&mut sender, &job, &body).await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        let refusal = response.into_body().collect().await.unwrap().to_bytes();
        let refusal: Refusal = serde_json::from_slice(&refusal).unwrap();
        assert_eq!(refusal.code, RefusalCode::NoSlot);
        assert!(!asked().admitted() && asked().end == End::Status(429));

        proxy.set(Fault::Break);
        // The break may overtake the head of the answer.
        if let Ok(response) = post(&mut sender, &job, &body).await {
            assert!(renditions(response).await.is_err());
        }
        assert!(asked().admitted() && asked().end == End::Broken);

        proxy.set(Fault::Hang);
        let hung = tokio::spawn({
            let (mut sender, job, body) = (sender.clone(), job.clone(), body.clone());
            async move { drop(post(&mut sender, &job, &body).await) }
        });
        wait_until("the hanging request", LIMIT, || {
            asked().fault == Fault::Hang
        })
        .await;
        assert_eq!(asked().end, End::Open);
        hung.abort();
        wait_until("the proxy to see that nobody waits", LIMIT, || {
            asked().end == End::GivenUp
        })
        .await;
        assert!(asked().admitted());
    }

    proxy.set(Fault::None);
    drop(node);
    assert!(post(&mut sender, &job, &body).await.is_err());
    assert!(!asked().admitted(), "{:?}", asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_fill_a_line_of_100_ms_there_and_back() {
    // 120 Mbit/s; the windows of 4 MiB allow 160 over a round trip of 200 ms.
    const RATE: usize = 15_000_000;
    const FULL: usize = RATE / 10;
    let directory = Directory::start().await;
    let site = Site::start("far", "z1", 1).await;
    site.wire.set_latency(LATENCY);
    site.wire.set_rate(RATE as u64);
    directory.add(&site).await;
    let ingest = ingest(&directory).await;

    let _publisher = Broadcaster::start(&noise(), &format!("{}/live/noise", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/noise/master.m3u8", ingest.hls)).await;
    let here = |t: &Track| t.segments.values().filter(|s| !s.listed.gap).count();
    let done = |r: &Recording| r.tracks.len() == 2 && r.tracks.values().all(|t| here(t) >= 2);
    player.until("two segments of both", LIMIT, done).await;
    for (name, track) in &player.stop().await.tracks {
        for seen in track.segments.values().filter(|s| !s.listed.gap) {
            // Two seconds at 10 Mbit/s; what pictures need is not known yet, so it may be less.
            let bytes = seen.body.len();
            assert!(
                bytes > FULL * 5 / 4,
                "{name}: too short to fill the line: {bytes} bytes"
            );
        }
    }
    // Windows of 1 MiB would leave a third of it empty, the protocol's own of 64 KiB 96 %.
    for direction in [Direction::There, Direction::Back] {
        let most = site.wire.most_under_way(direction);
        assert!(
            most > FULL * 4 / 5,
            "{direction:?}: {most} of {FULL} bytes under way"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_ends_an_upload_in_the_middle_over_100_ms() {
    let directory = Directory::start().await;
    let (full, free) = tokio::join!(Site::start("full", "z1", 1), Site::start("free", "z1", 1));
    full.proxy.set(Fault::Refuse);
    full.wire.set_latency(LATENCY);
    full.wire.set_rate(1_000_000);
    // At first the ingest has no choice.
    directory.add(&full).await;
    let ingest = ingest(&directory).await;
    let _publisher = Broadcaster::start(&noise(), &format!("{}/live/noise", ingest.rtmp));
    wait_until("the full node to refuse", LIMIT, || {
        full.proxy
            .asked()
            .iter()
            .any(|asked| asked.end == End::Status(429))
    })
    .await;
    directory.add(&free).await;
    let player = Player::follow(&format!("{}/live/noise/master.m3u8", ingest.hls)).await;
    let done = |r: &Recording| {
        r.tracks
            .get("180p")
            .is_some_and(|t| t.segments.values().any(|s| !s.listed.gap))
    };
    player.until("a rendition", LIMIT, done).await;

    let asked = full.proxy.asked();
    let uploads: u64 = asked.iter().map(|asked| asked.job.spec.source.bytes).sum();
    let sent = full.wire.bytes(Direction::There) as u64;
    assert!(
        sent < uploads / 2,
        "{sent} of {uploads} bytes were sent in vain, {} times",
        asked.len()
    );
}
