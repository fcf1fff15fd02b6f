//! Transcode nodes die in mid-stream.

use std::time::{Duration, Instant};

use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::http::Http;
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::{children, kill9, runs};
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::wait::{wait_for, wait_until};
use serde_json::Value;

use crate::{LADDER, PICTURE};

const LIMIT: Duration = Duration::from_secs(60);

async fn three_nodes() -> Dev {
    Dev::start(&["--transcoders", "3", "--no-publisher", "--ladder", LADDER]).await
}

/// Waits until all three are passing: who is killed next leaves two that are well.
async fn all_are_well(dev: &Dev) {
    let path = "/v1/health/service/rackcast-transcode?passing";
    let url = format!("{}{path}", dev.ready.consul.trim_end_matches('/'));
    let http = Http::default();
    wait_for("three nodes that are well", LIMIT, || async {
        let answer = http.get(&url).await.ok()?;
        let nodes: Value = serde_json::from_str(answer.text()).ok()?;
        (nodes.as_array()?.len() == 3).then_some(())
    })
    .await;
}

fn assert_unharmed(recording: &Recording) {
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(recording);
    check::assert_same_pictures(recording);
    check::assert_plays_through(recording, PICTURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_one_of_three_transcoders_loses_no_segment() {
    let dev = three_nodes().await;
    let broadcast = Broadcaster::start(&Sample::long().file(), &dev.publish_url("live/killed"));
    let player = Player::follow(&dev.master_url("live/killed")).await;
    player.segments(2).await;

    // Each node once, at different moments of a segment; the dead one comes back meanwhile.
    for (i, node) in dev.ready.transcoders.iter().enumerate() {
        all_are_well(&dev).await;
        tokio::time::sleep(Duration::from_millis(700) * u32::try_from(i).unwrap()).await;
        kill9(node.pid);
        player.segments(player.so_far().common() + 3).await;
    }
    let recording = player.stop().await;
    assert_eq!(
        broadcast.stop(),
        1,
        "the publisher never lost its connection"
    );
    assert_unharmed(&recording);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_workers_loses_no_segment() {
    let dev = three_nodes().await;
    let _broadcast = Broadcaster::start(&Sample::long().file(), &dev.publish_url("live/workers"));
    let player = Player::follow(&dev.master_url("live/workers")).await;
    player.segments(2).await;

    // One node at a time: if all fail a segment within a second, a lone stream has only one retry
    // to spend.
    for _ in 0..2 {
        for node in &dev.ready.transcoders {
            all_are_well(&dev).await;
            let workers = children(node.pid, "rackcast-transcode");
            assert!(!workers.is_empty(), "a node without a worker");
            workers.into_iter().for_each(kill9);
            player.segments(player.so_far().common() + 1).await;
        }
    }
    for node in &dev.ready.transcoders {
        assert!(runs(node.pid), "a worker's death took its node along");
    }
    assert_unharmed(&player.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_transcoders_the_source_goes_on_and_the_rest_resumes_in_step() {
    let mut dev = Dev::start(&["--transcoders", "2", "--no-publisher", "--ladder", LADDER]).await;
    let _broadcast = Broadcaster::start(&Sample::long().file(), &dev.publish_url("live/alone"));
    let player = Player::follow(&dev.master_url("live/alone")).await;
    player.segments(2).await;

    // `rackcast dev` starts the dead again; for a while none lives long enough to work.
    let parent = dev.process().pid();
    let gaps = |r: &Recording| {
        r.transcoded()
            .iter()
            .map(|n| r.track(n).gaps().len())
            .min()
            .unwrap_or(0)
    };
    wait_until("three gaps", Duration::from_secs(30), || {
        children(parent, "rackcast-transcode")
            .into_iter()
            .for_each(kill9);
        gaps(&player.so_far()) >= 3
    })
    .await;
    let back = Instant::now();
    let resumed = |r: &Recording| {
        let done = |n: &str| {
            r.track(n)
                .segments
                .values()
                .filter(|s| s.at > back && !s.listed.gap)
                .count()
                >= 3
        };
        r.transcoded().iter().all(|n| done(n))
    };
    player
        .until(
            "three segments after the return",
            Duration::from_secs(60),
            resumed,
        )
        .await;
    let recording = player.stop().await;

    recording.assert_sound();
    recording.assert_in_step();
    for (name, track) in &recording.tracks {
        assert_eq!(track.holes(), [0; 0], "numbers that {name} never listed");
    }
    for own in ["source", "audio"] {
        assert_eq!(recording.track(own).gaps(), [0; 0], "{own}");
    }
    let wait = recording.track("source").longest_wait();
    assert!(
        wait < Duration::from_secs(8),
        "the source rendition hung for {wait:?}"
    );
    for name in recording.transcoded() {
        let track = recording.track(name);
        let (early, late): (Vec<_>, Vec<_>) = track
            .gaps()
            .into_iter()
            .partition(|n| track.segments[n].at <= back);
        let (first, last) = (early[0], early[early.len() - 1]);
        assert_eq!(
            early,
            (first..=last).collect::<Vec<_>>(),
            "{name} has gaps in one run"
        );
        // A node that has just come may be late once more.
        let mut good = track
            .segments
            .iter()
            .filter(|(_, s)| s.at > back && !s.listed.gap);
        let settled = good.nth(1).map(|(n, _)| *n).unwrap();
        assert!(late.iter().all(|n| *n < settled), "{name}: {late:?}");
    }
    check::assert_same_pictures(&recording);
}
