//! Jobs that are taken: what is answered, and to whom.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rackcast_segment::id::Sequence;
use rackcast_segment::rate::{Account, Policy};
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::HEADER_ENCODER;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_segment::{h264, ts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{
    Node, Segment, answer, decode, full, http1_head, job, segment, segments, ts_of,
};
use crate::{SLOW, long, status};

/// The job says what each rendition is to have; who is told a quality says by which encoder.
#[tokio::test]
async fn rates_that_a_job_carries_are_kept_to() {
    let config = |encoder| format!("[worker]\ncount = 1\n[encoder]\nencoder = '{encoder}'");
    let (x264, openh264) = (config("x264"), config("openh264"));
    let (x264, openh264) = tokio::join!(Node::start(&x264), Node::start(&openh264));
    let segment = &segments()[0];
    let source = &segment.job.source;
    for (node, encoder) in [(&x264, Some("x264/veryfast")), (&openh264, None)] {
        let mut lengths = Vec::new();
        // What was sent before is owed, so the second is to have less than the first.
        for debt in [0, 1_500_000] {
            let mut job = job(segment);
            for spec in &job.spec.renditions {
                let mut account = Account::new(Policy::default(), spec, source.frame_rate);
                account.ask(Sequence(6), source.duration);
                account.came(Sequence(6), debt, None).unwrap();
                let (rate, _) = account.ask(job.sequence, source.duration);
                job.spec.rates.insert(spec.name.clone(), rate);
            }
            let body = full(segment.ts.clone());
            let response = node.send(node.post(&job, body)).await;
            let name = response.headers().get(HEADER_ENCODER);
            assert_eq!(name.and_then(|v| v.to_str().ok()), encoder);
            let answer = answer(response).await.unwrap();
            assert_eq!(answer.renditions.len(), 2);
            let lens = answer.renditions.iter().map(|(_, media)| media.len());
            lengths.push(lens.sum::<usize>());
        }
        assert!(
            lengths[1] * 20 < lengths[0] * 17,
            "{encoder:?}: {lengths:?}"
        );
        let plain = node.send(node.post(&job(segment), full(segment.ts.clone())));
        assert_eq!(plain.await.headers().get(HEADER_ENCODER), None);
    }
}

#[tokio::test]
async fn two_nodes_in_turn_give_what_was_asked_for() {
    let (a, b) = tokio::join!(Node::start("[worker]\ncount = 1"), Node::start(""));
    let mut whole = [Vec::new(), Vec::new()];
    let mut parameter_sets = [Vec::new(), Vec::new()];
    for (i, s) in segments().iter().enumerate() {
        let node = if i % 2 == 0 { &a } else { &b };
        let answer = node.transcode(s).await.unwrap();
        assert!(answer.summary.failure.is_none());
        assert_eq!(
            (answer.summary.frames, answer.summary.device.as_str()),
            (60, "cpu/x264")
        );
        assert_eq!(answer.summary.renditions.len(), 2);
        for (rung, spec) in s.job.renditions.iter().enumerate() {
            let (_, media) = answer
                .renditions
                .iter()
                .find(|(n, _)| n == spec.name.as_str())
                .unwrap();
            let expect = Expectation {
                spec,
                source: &s.job.source,
                shape: &s.job.shape,
            };
            verify(media, &expect).unwrap();
            whole[rung].extend_from_slice(media);
            let units = ts::read(media, s.job.source.first_pts, &ts::Limits::default()).unwrap();
            let sets: Vec<Vec<u8>> = h264::nal_units(&units.video[0].data)
                .filter(|n| matches!(n[0] & 0x1f, 7 | 8))
                .map(<[u8]>::to_vec)
                .collect();
            parameter_sets[rung].push(sets);
        }
    }
    for rung in 0..2 {
        ts::restamp(&mut whole[rung], &mut ts::Counters::default()).ok();
        assert_eq!(decode(&whole[rung]).1, 240);
        assert!(
            parameter_sets[rung].windows(2).all(|w| w[0] == w[1]),
            "stable over processes"
        );
    }
    let load = a.load().await;
    assert_eq!((load.slots, load.busy, load.queued), (1, 0, 0));
    assert!(
        a.has_metric("rackcast_transcode_jobs_completed_total 2")
            .await
    );
}

#[tokio::test]
async fn http1_works_and_waits_for_100_continue() {
    let node = Node::start("[worker]\ncount = 1").await;
    let s = &segments()[0];
    let more = format!(
        "content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n",
        s.ts.len()
    );
    let mut stream = TcpStream::connect(node.at).await.unwrap();
    stream
        .write_all(http1_head(&job(s), &more).as_bytes())
        .await
        .unwrap();
    let mut go = [0; 25];
    stream.read_exact(&mut go).await.unwrap();
    assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&s.ts).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let text = String::from_utf8_lossy(&rest);
    assert_eq!(status(&text), "HTTP/1.1 200 OK");
    assert!(text.contains("\"frames\":60"));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_told_with_its_reason() {
    let node = Node::start("[worker]\ncount = 1").await;
    let s = &segments()[0];
    let code = async |s: &Segment| node.transcode(s).await.unwrap_err().refusal.code;

    let mut noise = s.clone();
    noise.ts = vec![0x47; s.ts.len()].into();
    assert_eq!(code(&noise).await, RefusalCode::Unsupported);

    let mut flipped = s.units.clone();
    for unit in &mut flipped {
        unit.data = unit
            .data
            .iter()
            .map(|b| if *b > 1 { b ^ 0x20 } else { *b })
            .collect();
    }
    let mut flipped = Segment {
        ts: ts_of(&flipped),
        ..s.clone()
    };
    flipped.job.source.bytes = flipped.ts.len() as u64;
    assert_eq!(code(&flipped).await, RefusalCode::Undecodable);

    let mut fewer = segment(&s.units[..30], "180p@300k");
    fewer.job.source.frames = 31;
    assert_eq!(code(&fewer).await, RefusalCode::Undecodable);

    let mut wider = s.clone();
    wider.job.source.format.width = 640;
    assert_eq!(code(&wider).await, RefusalCode::Undecodable);
    node.transcode(s).await.unwrap();
}

#[tokio::test]
async fn who_does_not_take_an_answer_loses_the_connection_and_nobody_else_does() {
    let node = Node::start("[worker]\ncount = 1\n[front]\nanswer_timeout = '1s'").await;
    let s = &segments()[0];
    let stream = TcpStream::connect(node.at).await.unwrap();
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let job = Job {
        deadline: Duration::from_secs(5),
        ..job(s)
    };
    let untaken = client.send_request(node.post(&job, full(s.ts.clone())));
    let untaken = untaken.await.unwrap();
    assert_eq!(untaken.status(), StatusCode::OK);
    let others = node.transcode(s).await;
    others.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), connection).await;
    let _how = ended.expect("the node ends it").unwrap();
    assert_eq!(node.count("answers_untaken_total").await, 1);
    assert!(untaken.into_body().collect().await.is_err(), "cut off");
    node.transcode(s).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_slot() {
    let node = Node::start(SLOW).await;
    let long = long();
    let worker = node.workers();
    // Over HTTP/2 the stream is reset, over HTTP/1.1 the connection closed.
    let asked = tokio::spawn(node.submit(&long));
    node.until_load("the job runs", |l| l.busy == 1).await;
    asked.abort();
    node.until_load("the slot is free", |l| l.busy == 0).await;

    let mut stream = TcpStream::connect(node.at).await.unwrap();
    let head = http1_head(
        &job(&long),
        &format!("content-length: {}\r\n", long.ts.len()),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&long.ts).await.unwrap();
    node.until_load("the job runs", |l| l.busy == 1).await;
    drop(stream);
    node.until_load("the slot is free", |l| l.busy == 0).await;

    assert!(
        node.has_metric("rackcast_transcode_jobs_cancelled_total 2")
            .await
    );
    assert!(
        node.has_metric("rackcast_transcode_jobs_completed_total 0")
            .await
    );
    assert_eq!(node.workers(), worker, "it was asked, not killed");
}
