//! HTTP/2 over TLS, as an ingest speaks it: the line is used in full, and a refusal ends an upload.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rackcast_ingest::dispatch::LinkConfig;
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_service::status::Role;
use rackcast_service::tls::Stream;
use rackcast_tests::job;
use rackcast_tests::pki::{Authority, Files, member};
use rackcast_tests::publish::noise;
use rackcast_tests::rack::{NODE, Node, renditions};
use rackcast_tests::wire::{Direction, Wire};

use crate::daemons::{node_config, node_files};
use crate::pair::{CALLER, Client};

/// A connection to a node.
pub(crate) struct Line {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// The certificate that the node showed.
    pub(crate) shown: Vec<u8>,
}

/// Connects to the node that is called [`NODE`].
pub(crate) async fn connect(client: &Client, address: SocketAddr) -> Line {
    let wanted = member(Role::Transcode, NODE);
    let stream = client.call_at(address, &wanted).await.unwrap();
    let Stream::Client(tls) = &stream else {
        panic!("no TLS")
    };
    let shown = tls.get_ref().get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let link = LinkConfig::default();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(link.stream_window)
        .initial_connection_window_size(link.connection_window)
        .adaptive_window(false)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    Line { sender, shown }
}

/// Sends one job; its renditions, or what came instead.
pub(crate) async fn transcode(
    sender: &mut SendRequest<Full<Bytes>>,
    job: &Job,
    body: &Bytes,
) -> Result<Vec<(RenditionName, Bytes)>, String> {
    let mut request = Request::post(format!("https://node{SEGMENTS_PATH}"));
    for (name, value) in job.to_headers().unwrap() {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.clone())).unwrap();
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    match head.status.as_u16() {
        200 => renditions(head.headers["content-type"].to_str().unwrap(), body),
        status => Err(format!("{status}: {body:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_hold_and_a_refusal_ends_an_upload_over_tls() {
    // 120 Mbit/s over 100 ms each way: 1.5 MB under way; windows of 1 MiB would leave a third empty.
    const RATE: usize = 15_000_000;
    const FULL: usize = RATE / 10;
    let fleet = Authority::new("fleet");
    let node = Node::start(&node_config(&node_files(&fleet))).await;
    let wire = Wire::start(node.address);
    wire.set_latency(Duration::from_millis(100));
    wire.set_rate(RATE as u64);
    let caller = member(Role::Ingest, CALLER);
    let own = Files::new(&fleet.member(&caller), &fleet.pem);
    let client = Client::new(&own.client(), &caller);
    let mut line = connect(&client, wire.address).await;

    let (mut job, body) = job::first(&noise(), "180p@10000k");
    assert!(body.len() > FULL * 3 / 2, "too short to fill the line");
    let answer = transcode(&mut line.sender, &job, &body).await.unwrap();
    assert!(
        answer[0].1.len() > FULL * 3 / 2,
        "too short to fill the line"
    );
    for direction in [Direction::There, Direction::Back] {
        let most = wire.most_under_way(direction);
        assert!(
            most > FULL * 4 / 5,
            "{direction:?}: {most} of {FULL} bytes under way"
        );
    }

    // No node is that quick: it says so while the upload has barely begun.
    wire.set_rate(1_000_000);
    job.deadline = Duration::from_millis(20);
    let before = wire.bytes(Direction::There);
    let refused = transcode(&mut line.sender, &job, &body).await;
    assert!(refused.is_err(), "{refused:?}");
    job.deadline = Duration::from_secs(20);
    let sent = wire.bytes(Direction::There) - before;
    assert!(
        sent < body.len() / 2,
        "{sent} of {} bytes in vain",
        body.len()
    );
    // The connection goes on.
    wire.set_rate(RATE as u64);
    let answer = transcode(&mut line.sender, &job, &body).await;
    assert_eq!(answer.map(|renditions| renditions.len()), Ok(1));
}
