//! What broadcasters may send.

use std::time::Duration;

use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Sample, publish};

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
        player
            .until("EXT-X-ENDLIST", Duration::from_secs(60), |r| {
                !r.tracks.is_empty() && r.tracks.values().all(|t| t.ended)
            })
            .await;
        let recording = player.stop().await;
        recording.assert_sound();
        assert_eq!(
            recording.tracks.keys().collect::<Vec<_>>(),
            names,
            "{stream}"
        );
        check::assert_nothing_lost(&recording);
    }
}
