//! Frames over a stream that delivers as it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use bytes::Bytes;
use rackcast_service::frame::{FrameError, Framed, Limits, Receiver, Sender};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::UnixStream;

const LIMITS: Limits = Limits {
    header: 64,
    payload: 100,
};

async fn encoded(frames: &[(Value, &'static [u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sender = Sender::new(&mut bytes, LIMITS);
    for (header, payload) in frames {
        sender
            .send(header, Bytes::from_static(payload))
            .await
            .unwrap();
    }
    bytes
}

#[tokio::test]
async fn frames_split_at_every_byte_arrive_whole() {
    let frames = [
        (json!({"n": 1}), b"payload".as_slice()),
        (json!("bare"), b""),
    ];
    let bytes = encoded(&frames).await;
    for cut in 0..=bytes.len() {
        let (mut write, read) = duplex(4096);
        let mut receiver = Receiver::new(read, LIMITS);
        write.write_all(&bytes[..cut]).await.unwrap();
        let mut got = Vec::new();
        // A receive that finds no whole frame is cancelled, and must lose nothing.
        while let Ok(frame) = tokio::time::timeout(std::time::Duration::ZERO, async {
            tokio::task::yield_now().await;
            receiver.recv::<Value>().await
        })
        .await
        {
            got.push(frame.unwrap().unwrap());
        }
        write.write_all(&bytes[cut..]).await.unwrap();
        drop(write);
        while let Some(frame) = receiver.recv::<Value>().await.unwrap() {
            got.push(frame);
        }
        let expected = frames
            .clone()
            .map(|(header, payload)| (header, Bytes::from_static(payload)));
        assert_eq!(got, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn an_end_within_a_frame_is_told_from_an_end_between_frames() {
    let bytes = encoded(&[(json!(1), b"abc")]).await;
    for end in 0..=bytes.len() {
        let mut receiver = Receiver::new(&bytes[..end], LIMITS);
        let result = receiver.recv::<Value>().await;
        match end {
            0 => assert!(matches!(result, Ok(None))),
            _ if end == bytes.len() => {
                assert!(matches!(result, Ok(Some(_))));
                assert!(matches!(receiver.recv::<Value>().await, Ok(None)));
            }
            _ => assert!(matches!(result, Err(FrameError::Truncated)), "end at {end}"),
        }
    }
}

#[tokio::test]
async fn lengths_over_the_limit_are_refused_before_anything_is_read() {
    for (lengths, part) in [
        ([65, 0], "header"),
        ([2, 101], "payload"),
        ([u32::MAX; 2], "header"),
    ] {
        let bytes: Vec<u8> = lengths.iter().flat_map(|n| n.to_be_bytes()).collect();
        let error = Receiver::new(bytes.as_slice(), LIMITS)
            .recv::<Value>()
            .await
            .unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { part: found, .. } if found == part));
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_is_not_sent_and_breaks_nothing() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (Framed::with_limits(ours, LIMITS), Framed::new(theirs));
    let error = ours.send(&0, Bytes::from(vec![0; 101])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a message's payload has 101 bytes; at most 100 are allowed"
    );
    let error = ours.send(&"x".repeat(65), Bytes::new()).await.unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { part: "header", .. }));
    ours.send(&7, Bytes::from(vec![1; 100])).await.unwrap();
    assert_eq!(
        theirs.recv::<i32>().await.unwrap().unwrap(),
        (7, Bytes::from(vec![1; 100]))
    );
}

#[tokio::test]
async fn a_cancelled_send_breaks_the_stream_openly() {
    let (write, _read) = duplex(16);
    let mut sender = Sender::new(write, LIMITS);
    let sending = sender.send(&1, Bytes::from(vec![0; 100]));
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(1), sending)
            .await
            .is_err()
    );
    assert!(matches!(
        sender.send(&2, Bytes::new()).await,
        Err(FrameError::Broken)
    ));
}

#[tokio::test]
async fn a_header_of_another_kind_is_not_understood() {
    let bytes = encoded(&[(json!({"a": 1}), b"")]).await;
    let error = Receiver::new(bytes.as_slice(), LIMITS)
        .recv::<u32>()
        .await
        .unwrap_err();
    assert!(matches!(error, FrameError::Decode(_)));
}

#[tokio::test]
async fn large_payloads_go_both_ways_at_once() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let payload = Bytes::from(vec![42; 3 * 1024 * 1024]);
    let exchange = async |stream: UnixStream| {
        let (mut sender, mut receiver) = Framed::new(stream).split();
        let (sent, received) = tokio::join!(
            sender.send(&"p", payload.clone()),
            receiver.recv::<String>()
        );
        sent.unwrap();
        assert_eq!(received.unwrap().unwrap().1, payload);
    };
    tokio::join!(exchange(ours), exchange(theirs));
}
