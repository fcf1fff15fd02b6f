//! The same as in `nodes`, for as long as one likes: `make soak MINUTES=60`.

use std::time::{Duration, Instant};

use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::process::{children, kill9};
use rackcast_tests::publish::{Broadcaster, Sample};

use crate::LADDER;

/// How long each soak takes.
pub(crate) fn duration() -> Duration {
    let minutes = std::env::var("RACKCAST_SOAK_MINUTES").map_or(10, |m| m.parse().unwrap());
    Duration::from_secs(60 * minutes)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as many minutes as RACKCAST_SOAK_MINUTES says"]
async fn soak_while_transcoders_are_killed_in_turns() {
    let length = duration();
    let mut dev = Dev::start(&["--transcoders", "3", "--no-publisher", "--ladder", LADDER]).await;
    let sample = Sample {
        seconds: u32::try_from(length.as_secs() + 60).unwrap(),
        ..Sample::default()
    };
    let _broadcast = Broadcaster::start(&sample.file(), &dev.publish_url("live/soak"));
    let player = Player::follow(&dev.master_url("live/soak")).await;
    player.segments(2).await;

    let (start, parent) = (Instant::now(), dev.process().pid());
    for round in 0_usize.. {
        if start.elapsed() > length {
            break;
        }
        let nodes = children(parent, "rackcast-transcode");
        if nodes.len() == 3 {
            kill9(nodes[round % 3]);
        }
        player.segments(player.so_far().common() + 3).await;
        if round % 10 == 0 {
            let seen = player.so_far();
            let gaps: usize = seen.tracks.values().map(|t| t.gaps().len()).sum();
            println!(
                "{:?}: {} segments, {gaps} gaps",
                start.elapsed(),
                seen.common()
            );
        }
    }
    let recording = player.stop().await;
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(&recording);
    check::assert_same_pictures(&recording);
}
