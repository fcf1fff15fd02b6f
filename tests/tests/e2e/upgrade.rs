//! Transcode nodes are restarted and the ingest is handed over under running streams, as an upgrade
//! does: nobody loses anything.

use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::process::{children, runs, signal};
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::wait::wait_until;

use crate::{LADDER, PICTURE};

const STREAMS: [&str; 3] = ["live/one", "live/two", "live/three"];

/// Every player sees so many more segments.
async fn go_on(players: &[Player], segments: usize) {
    join_all(players.iter().map(async |player| {
        let seen = player.so_far().common();
        player.segments(seen + segments).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_everything_under_three_streams_loses_nothing() {
    let dev = Dev::start(&["--transcoders", "2", "--no-publisher", "--ladder", LADDER]).await;
    let file = Sample::long().file();
    let broadcasts = STREAMS.map(|s| Broadcaster::start(&file, &dev.publish_url(s)));
    let mut players = Vec::new();
    for stream in STREAMS {
        players.push(Player::follow(&dev.master_url(stream)).await);
    }
    go_on(&players, 2).await;

    // One node after the other drains, ends, and is started again.
    for node in &dev.ready.transcoders {
        signal(node.pid, Signal::SIGTERM);
        wait_until("the node to end", Duration::from_secs(30), || {
            !runs(node.pid)
        })
        .await;
        go_on(&players, 4).await;
    }

    let supervisor = dev.ready.ingest.pid;
    signal(supervisor, Signal::SIGUSR2);
    dev.log_line("generation 2 is ready and accepts", Duration::from_secs(30))
        .await;
    go_on(&players, 4).await;
    assert_eq!(children(supervisor, "generation").len(), 2);

    // All stop before the first is looked through, which takes its time.
    let recordings = join_all(players.into_iter().map(Player::stop)).await;
    for broadcast in broadcasts {
        assert_eq!(broadcast.stop(), 1, "connections of a publisher");
    }
    for recording in recordings {
        recording.assert_sound();
        recording.assert_in_step();
        assert_eq!(recording.outages, Vec::<String>::new());
        check::assert_nothing_lost(&recording);
        check::assert_same_pictures(&recording);
        check::assert_plays_through(&recording, PICTURE);
    }
}
