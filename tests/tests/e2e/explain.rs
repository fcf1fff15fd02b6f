//! `rackcast explain` tells what really happened.

use std::time::{Duration, SystemTime};

use rackcast_service::explain::{End, Move, Segment, What};
use rackcast_tests::dev::Dev;
use rackcast_tests::explain::{Explain, Told, moves_from, rackcast_explain};
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::kill9;
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::wait::wait_for;

use crate::LADDER;

const STREAM: &str = "live/told";
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_why_a_stream_left_the_node_that_died() {
    let dev = Dev::start(&[
        "--transcoders",
        "3",
        "--no-publisher",
        "--no-restart",
        "--ladder",
        LADDER,
    ])
    .await;
    let explain = Explain::of(&dev).await;
    assert_eq!(explain.story(STREAM).await, None, "nothing happened yet");
    let _broadcast = Broadcaster::start(&Sample::default().file(), &dev.publish_url(STREAM));
    let player = Player::follow(&dev.master_url(STREAM)).await;
    player.segments(3).await;

    // The stream's home dies and stays dead. Just then it may have left for another reason,
    // so there is a second try.
    let mut left = None;
    for _ in 0..2 {
        let home = wait_for("the stream to keep to a node", LIMIT, || async {
            let story = explain.story(STREAM).await?;
            kept(story.segments.last()?)
        })
        .await;
        let victim = dev.ready.transcoders.iter().find(|node| node.id == home);
        kill9(victim.expect("the home is one of the three").pid);
        let killed_at = now_ms();
        let before = player.so_far().common();
        player.segments(before + 4).await;
        let story = explain.story(STREAM).await.expect("a story");
        let last = moves_from(&story, &home).last().copied().cloned();
        left = last.filter(|left| left.at_ms > killed_at && is_of_a_death(left));
        if left.is_some() {
            break;
        }
    }
    let left = left.expect("the stream left a node after its death");
    let recording = player.stop().await;

    let dead = left.from.id.as_str();
    let last = recording.track("source").segments.keys().max().copied();
    let story = wait_for("the last segment to be remembered", LIMIT, || async {
        let story = explain.story(STREAM).await?;
        (Some(story.summary.last) >= last).then_some(story)
    })
    .await;
    for segment in story.segments.iter().filter(|s| s.segment >= left.segment) {
        assert_ne!(segment.first_node(), None);
        for rendition in &segment.renditions {
            let from = segment.ready_from(&rendition.name);
            assert_ne!(from, Some(dead), "{segment:#?}");
        }
    }
    assert_agrees(&recording, &story.segments);

    told_in_words(&dev, dead, left.segment);
    wait_for("the dead node alone to be ill", LIMIT, || async {
        let nodes = explain.nodes().await.nodes;
        let is_well = |id: &str| {
            nodes
                .iter()
                .any(|n| n.id == id && n.standing.code == "good")
        };
        (!is_well(dead) && is_well(&left.to.id)).then_some(())
    })
    .await;
}

/// A segment met the dead node, or the catalog told first.
fn is_of_a_death(left: &Move) -> bool {
    match left.why.code.as_str() {
        "left-ejected" => matches!(left.why.failure.as_deref(), Some("connect" | "broken")),
        "left-failed" | "left-gone" => true,
        _ => false,
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    u64::try_from(now.as_millis()).expect("a clock of our time")
}

/// The node that a segment was sent to because the one before was.
fn kept(segment: &Segment) -> Option<String> {
    let first = segment.steps.first()?;
    match &first.what {
        What::Sent { node, why, .. } if why.code == "kept" => Some(node.id.clone()),
        _ => None,
    }
}

/// The player has what the ingest says that it delivered, and gaps elsewhere.
fn assert_agrees(recording: &Recording, segments: &[Segment]) {
    let mut compared = 0;
    for name in recording.transcoded() {
        for segment in segments {
            let Some(seen) = recording.track(name).segments.get(&segment.segment) else {
                continue;
            };
            let told = segment.renditions.iter().find(|r| r.name == name);
            let told = told.expect("the record has every rung of the ladder");
            let ready = matches!(told.end, End::Ready { .. });
            assert_eq!(seen.listed.gap, !ready, "{name}: {segment:#?}");
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} segments in common");
}

fn told_in_words(dev: &Dev, home: &str, segment: u64) {
    let consul = ["--consul", &dev.ready.consul];
    let ask = |args: &[&str]| rackcast_explain(&[args, &consul].concat());
    let short = home.split_once("-transcode-").expect("a node's ID").1;

    let (code, text) = ask(&[STREAM]);
    assert_eq!(code, Some(0), "{text}");
    let moves = text.lines().skip_while(|line| *line != "Moves").skip(2);
    let mut moves = moves.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = segment.to_string();
    let of_it = moves.find(|words| words.first() == Some(&number.as_str()));
    assert!(of_it.is_some_and(|words| words.contains(&short)), "{text}");

    let (code, text) = ask(&[STREAM, "--segment", &segment.to_string()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("this node: the home"), "{text}");
    assert!(text.contains("complete after"), "{text}");

    let (code, text) = ask(&[STREAM, "--json", "--last", "2"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, Some(0));
    assert_eq!(
        json["answers"][0]["segments"].as_array().map(Vec::len),
        Some(2)
    );

    let (code, text) = ask(&["live/none"]);
    assert_eq!((code, text.as_str()), (Some(1), ""));
}
