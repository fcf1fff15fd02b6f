//! What is refused, when, and with which words.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Channel};
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::reply::RefusalCode;
use tokio::net::TcpStream;

use crate::common::{Node, answer, full, http1_head, job, raw, segments, until};
use crate::{SLOW, long, status};

#[tokio::test]
async fn what_the_headers_forbid_is_refused_before_the_body() {
    let node =
        Node::start("[worker]\ncount = 1\n[front]\nmax_segment_bytes = 1000000\nmax_frames = 100")
            .await;
    let s = &segments()[0];
    let expect = "expect: 100-continue\r\nconnection: close\r\n";
    let refused = async |change: &dyn Fn(&mut Job), line: &str| {
        let mut job = job(s);
        change(&mut job);
        let more = format!("content-length: {}\r\n{expect}", job.spec.source.bytes);
        // No body follows: whoever waited for one would not answer.
        let answer = raw(node.at, http1_head(&job, &more).as_bytes()).await;
        assert_eq!(status(&answer), line, "{answer}");
        answer
    };
    let large = "HTTP/1.1 413 Payload Too Large";
    refused(&|j| j.spec.source.bytes = 1_000_001, large).await;
    refused(&|j| j.spec.source.frames = 101, large).await;
    refused(
        &|j| (j.spec.source.format.width, j.spec.source.format.height) = (8_192, 8_192),
        large,
    )
    .await;
    let bad = "HTTP/1.1 400 Bad Request";
    let upscaled = refused(&|j| j.spec.renditions[0].width = 640, bad).await;
    assert!(upscaled.contains("180p is larger than the source"));
    refused(&|j| j.spec.renditions.clear(), bad).await;
    let busy = refused(
        &|j| j.deadline = Duration::ZERO,
        "HTTP/1.1 429 Too Many Requests",
    )
    .await;
    assert!(busy.contains("\"code\":\"deadline-too-close\"") && busy.contains("retry-after: 1"));
    assert!(busy.contains("\"slots\":1"), "the load comes with it");

    let protocol = http1_head(&job(s), expect).replace("protocol: 1", "protocol: 999");
    assert_eq!(status(&raw(node.at, protocol.as_bytes()).await), bad);
    assert_eq!(node.load().await.queued, 0);
    assert!(
        node.has_metric("rackcast_transcode_jobs_refused_total{reason=\"too-large\"} 3")
            .await
    );
}

#[tokio::test]
async fn headers_and_connections_are_capped() {
    let node = Node::start("[worker]\ncount = 1\n[front]\nmax_connections = 1").await;
    let long = format!(
        "GET /v1/load HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(40_000)
    );
    let answer = raw(node.at, long.as_bytes()).await;
    assert_eq!(
        status(&answer),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );

    let first = TcpStream::connect(node.at).await.unwrap();
    let ask = "GET /v1/load HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let second = tokio::spawn(raw(node.at, ask.as_bytes()));
    tokio::time::timeout(Duration::from_millis(200), async {
        while !second.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_err();
    drop(first);
    assert_eq!(status(&second.await.unwrap()), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_upload_is_refused_in_its_middle() {
    let node = Node::start("[worker]\ncount = 1\n[front]\nbody_timeout = '3s'").await;
    let s = &segments()[0];

    // Longer than announced, and never at its end.
    let (mut body, end) = Channel::<Bytes, Infallible>::new(1);
    let answering = tokio::spawn(node.send(node.post(&job(s), end.boxed_unsync())));
    body.send_data(s.ts.clone()).await.unwrap();
    body.send_data(Bytes::from_static(b"more")).await.unwrap();
    let refused = answer(answering.await.unwrap()).await.unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::TooLarge);
    drop(body);

    // Stalled.
    let (mut body, end) = Channel::<Bytes, Infallible>::new(1);
    let answering = tokio::spawn(node.send(node.post(&job(s), end.boxed_unsync())));
    body.send_data(s.ts.slice(..1000)).await.unwrap();
    let refused = answer(answering.await.unwrap()).await.unwrap_err();
    assert_eq!(
        (refused.status, refused.refusal.code),
        (StatusCode::REQUEST_TIMEOUT, RefusalCode::BodyTimeout)
    );
    drop(body);

    // Shorter than announced.
    let short = full(s.ts.slice(..1000));
    let refused = answer(node.send(node.post(&job(s), short)).await)
        .await
        .unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::BadRequest);

    node.until_load("no job is left", |l| l.busy + l.queued == 0)
        .await;
    node.transcode(s).await.unwrap();
}

#[tokio::test]
async fn a_full_node_says_so_at_once() {
    let node = Node::start(SLOW).await;
    let long = long();
    let jobs = [
        tokio::spawn(node.submit(&long)),
        tokio::spawn(node.submit(&long)),
    ];
    let load = node
        .until_load("one runs, one waits", |l| (l.busy, l.queued) == (1, 1))
        .await;
    assert_eq!(load.free(), 0);
    let (_body, end) = Channel::<Bytes, Infallible>::new(1);
    let refused = answer(node.send(node.post(&job(&long), end.boxed_unsync())).await).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.refusal.code),
        (429, RefusalCode::NoSlot)
    );
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.refusal.retry_after_ms.is_some());
    jobs.iter().for_each(|j| j.abort());
    until("all is withdrawn", || async {
        let load = node.load().await;
        (load.busy + load.queued == 0).then_some(())
    })
    .await;
}
