//! What broadcasters may send.

use std::convert::Infallible;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::Process;
use rackcast_tests::publish::{Sample, publish, publish_at_once};
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::wait_for;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::LADDER;

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_and_pictures_alone_are_streams_that_end_when_they_end() {
    let dev = Dev::start(&["--no-publisher", "--ladder", LADDER]).await;
    let short = Sample {
        seconds: 9,
        ..Sample::default()
    };
    let sound = Sample { width: 0, ..short }.file();
    let pictures = Sample {
        audio: false,
        ..short
    }
    .file();
    let _sound = publish(&sound, &dev.publish_url("live/sound"));
    let _pictures = publish(&pictures, &dev.publish_url("live/pictures"));

    for (stream, names) in [
        ("live/sound", vec!["audio"]),
        ("live/pictures", vec!["180p", "low", "source"]),
    ] {
        let player = Player::follow(&dev.master_url(stream)).await;
        let recording = player.to_the_end(names.len()).await;
        assert_eq!(
            recording.tracks.keys().collect::<Vec<_>>(),
            names,
            "{stream}"
        );
        check::assert_nothing_lost(&recording);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_published_again_leaves_alone_what_had_ended() {
    let ingest = Ingest::start("[auth]\nmode = \"open\"").await;
    let sound = Sample {
        width: 0,
        seconds: 9,
        ..Sample::default()
    }
    .file();
    let publish_url = format!("{}/live/again", ingest.rtmp);
    let master = format!("{}/live/again/master.m3u8", ingest.hls);
    let ended = |r: &Recording| r.tracks.get("audio").is_some_and(|t| t.ended);

    let _first = publish(&sound, &publish_url);
    let limit = Duration::from_secs(60);
    let before = Player::follow(&master).await;
    before.until("its end", limit, ended).await;
    let _second = publish(&sound, &publish_url);
    let old = before.so_far().master;
    let after = wait_for("another master playlist", limit, || async {
        let player = Player::follow(&master).await;
        if player.so_far().master != old {
            return Some(player);
        }
        player.stop().await;
        None
    })
    .await;
    after.until("its end", limit, ended).await;

    let (before, after) = (before.stop().await, after.stop().await);
    before.assert_sound();
    after.assert_sound();
    let numbers = |r: &Recording| {
        r.track("audio")
            .segments
            .keys()
            .copied()
            .collect::<Vec<_>>()
    };
    let (before, after) = (numbers(&before), numbers(&after));
    assert!(before.last() < after.first(), "{before:?}, {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_published_at_once_is_slowed_and_comes_whole() {
    let open = "[auth]\nmode = \"open\"\n[stream]\nmax_ahead = \"3s\"";
    let ingest = Ingest::start(open).await;
    let sound = Sample {
        width: 0,
        seconds: 9,
        ..Sample::default()
    }
    .file();
    let begun = Instant::now();
    let _publisher = publish_at_once(&sound, &format!("{}/live/file", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/file/master.m3u8", ingest.hls)).await;
    let ended = |r: &Recording| r.tracks.get("audio").is_some_and(|t| t.ended);
    player.until("its end", LIMIT, ended).await;
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(5_500), "{took:?}");
    let slowed = "rackcast_ingest_slowed_publications_total";
    assert_eq!(ingest.metric(slowed, &[]).await, 1.0);
    let recording = player.stop().await;
    recording.assert_sound();
    let listed = recording.track("audio").segments.values();
    let length: f64 = listed.map(|seen| seen.listed.duration).sum();
    assert!((length - 9.0).abs() < 0.2, "{length}");
}

const LIMIT: Duration = Duration::from_secs(20);

/// The publisher is sent away, and told why in its own log.
fn assert_refused(publisher: &mut Process, why: &str) {
    assert!(!publisher.wait(LIMIT).success());
    assert!(
        publisher.output().find(why).is_some(),
        "{:#?}",
        publisher.output().lines()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_needs_the_key_and_a_stream_has_one_publisher() {
    let ingest = Ingest::start(
        "[auth]\nmode = \"table\"\n\
         [[auth.streams]]\napp = \"live\"\nstream = \"show\"\nkey = \"sesame-7f3a\"",
    )
    .await;
    let sample = Sample {
        width: 0,
        ..Sample::default()
    }
    .file();
    let show = format!("{}/live/show", ingest.rtmp);
    let with_key = format!("{show}?key=sesame-7f3a");

    assert_refused(&mut publish(&sample, &show), "Server error");
    assert_refused(
        &mut publish(&sample, &format!("{show}?key=guess")),
        "Server error",
    );
    let _publisher = publish(&sample, &with_key);
    let player = Player::follow(&format!("{}/live/show/master.m3u8", ingest.hls)).await;
    player.segments(2).await;
    assert_refused(&mut publish(&sample, &with_key), "Server error");

    player.segments(3).await;
    player.stop().await.assert_sound();
    assert!(
        !ingest.log().contains("sesame-7f3a"),
        "the key is in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_that_are_not_served_are_refused_with_the_reason() {
    let ingest = Ingest::start("[auth]\nmode = \"open\"").await;
    let mut flv1 = Command::new("ffmpeg");
    flv1.args([
        "-v",
        "info",
        "-nostdin",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=160x90:rate=25",
    ]);
    flv1.args([
        "-t",
        "10",
        "-c:v",
        "flv1",
        "-f",
        "flv",
        &format!("{}/live/old", ingest.rtmp),
    ]);
    let mut publisher = Process::start(&mut flv1);
    assert!(!publisher.wait(LIMIT).success());
    ingest.log_line("live/old", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_names_the_stream_that_a_key_opens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = listener.local_addr().unwrap();
    let service = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service_fn(answer)),
            );
        }
    });
    let ingest = Ingest::start(&format!(
        "[auth]\nmode = \"webhook\"\n[auth.webhook]\nurl = \"http://{hook}/publish\""
    ))
    .await;
    let sample = Sample {
        width: 0,
        ..Sample::default()
    }
    .file();

    let wrong = format!("{}/live/wrong", ingest.rtmp);
    assert_refused(&mut publish(&sample, &wrong), "nobody knows this key");
    let _publisher = publish(&sample, &format!("{}/live/k-4711", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/evening/master.m3u8", ingest.hls)).await;
    player.segments(2).await;
    player.stop().await.assert_sound();
    service.abort();
}

/// What a site's own service would say.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let question: Value = serde_json::from_slice(&body).unwrap();
    let (status, answer) = match question["stream"].as_str() {
        Some("k-4711") => (200, json!({"name": "evening", "ladder": ""})),
        _ => (403, json!({"reason": "nobody knows this key"})),
    };
    let response = Response::builder().status(status);
    Ok(response.body(Full::new(answer.to_string().into())).unwrap())
}
