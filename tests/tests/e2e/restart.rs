//! The ingest dies in mid-stream.

use std::collections::BTreeSet;
use std::time::Duration;

use rackcast_tests::browser::{self, Engine};
use rackcast_tests::dev::Dev;
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::{children, kill9, runs};
use rackcast_tests::publish::{Broadcaster, Sample};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::LADDER;

/// For a browser to start and to play what it should.
const LIMIT: Duration = Duration::from_secs(120);

/// Epochs in which every rendition has at least this many segments with bytes.
fn epochs(recording: &Recording, segments: usize) -> BTreeSet<u64> {
    let of = |name: &str| -> BTreeSet<u64> {
        let live = || {
            recording
                .track(name)
                .segments
                .values()
                .filter(|s| !s.listed.gap)
        };
        let epochs: BTreeSet<u64> = live().map(|s| s.listed.address().0).collect();
        let enough = |e: &u64| live().filter(|s| s.listed.address().0 == *e).count() >= segments;
        epochs.into_iter().filter(enough).collect()
    };
    recording
        .tracks
        .keys()
        .map(|n| of(n))
        .reduce(|a, b| &a & &b)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_restarted_in_mid_stream_reuses_no_address_and_players_go_on() {
    let dev = Dev::start(&["--no-publisher", "--ladder", LADDER]).await;
    let broadcast = Broadcaster::start(&Sample::default().file(), &dev.publish_url("live/again"));
    let master = dev.master_url("live/again");
    let player = Player::follow(&master).await;
    player.segments(2).await;

    let (begins, begun) = oneshot::channel();
    let watching =
        tokio::spawn(async move { browser::watch(&master, Engine::Stay, 20, LIMIT, begins).await });
    // A page that only loads while the ingest is away never begins.
    timeout(LIMIT, begun)
        .await
        .expect("the page plays in time")
        .expect("the page plays");
    player.segments(4).await;
    kill9(dev.ready.ingest.pid);
    player
        .until(
            "a second epoch in every rendition",
            Duration::from_secs(60),
            |r| epochs(r, 3).len() >= 2,
        )
        .await;
    let recording = player.stop().await;
    let watched = watching.await.unwrap();

    recording.assert_sound();
    recording.assert_in_step();
    assert!(!recording.outages.is_empty(), "the ingest was never away");
    let connections = broadcast.stop();
    assert!(
        connections >= 2,
        "{connections} connections of the publisher"
    );
    assert!(watched.fatal.is_empty(), "{watched:#?}");
    assert!(watched.levels[0].seconds >= 20.0, "{watched:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_generation_is_replaced_by_its_supervisor() {
    let dev = Dev::start(&["--no-publisher", "--ladder", LADDER]).await;
    let _broadcast = Broadcaster::start(&Sample::default().file(), &dev.publish_url("live/next"));
    let player = Player::follow(&dev.master_url("live/next")).await;
    player.segments(2).await;

    let generation = children(dev.ready.ingest.pid, "rackcast-ingest");
    assert_eq!(generation.len(), 1, "the supervisor has one generation");
    kill9(generation[0]);
    player
        .until("a second epoch", Duration::from_secs(60), |r| {
            epochs(r, 2).len() >= 2
        })
        .await;
    assert!(runs(dev.ready.ingest.pid), "the supervisor lives on");
    player.stop().await.assert_sound();
}
