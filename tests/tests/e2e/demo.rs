//! `make demo` ends with a playable address, in every rendition, with sound.

use std::time::Duration;

use rackcast_tests::browser::{self, Engine, Report};
use rackcast_tests::check::{self, Joined};
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::probe::Kind;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_in_every_rendition_with_sound() {
    let dev = Dev::start(&[]).await;
    let master = dev
        .ready
        .stream
        .clone()
        .expect("the demo publishes a stream");
    let player = Player::follow(&master).await;
    player.segments(2).await;

    let report = browser::play(&master, Engine::HlsJs, 3, LIMIT).await;
    let variants = player.so_far().master.variants.len();
    assert_eq!(report.levels.len(), variants, "{report:#?}");
    assert_played(&report);
    assert_played(&browser::play(&master, Engine::Native, 3, LIMIT).await);

    let recording = player.stop().await;
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(&recording);
    check::assert_same_pictures(&recording);
    for (name, track) in &recording.tracks {
        let joined = Joined::new(track, |_| true);
        let kind = if name == "audio" {
            Kind::Audio
        } else {
            Kind::Video
        };
        assert_eq!(joined.decode(kind), joined.packets(kind).len(), "{name}");
    }
    let names: Vec<_> = recording.tracks.keys().map(String::as_str).collect();
    assert_eq!(names, ["240p", "360p", "audio", "source"]);
}

fn assert_played(report: &Report) {
    assert!(
        report.fatal.is_empty() && !report.levels.is_empty(),
        "{report:#?}"
    );
    for level in &report.levels {
        assert!(
            level.seconds >= 3.0 && level.frames > 30,
            "{level:?} of {report:#?}"
        );
        assert!(level.audio_bytes > 0, "no sound: {level:?}");
        assert!(
            level.asked_height == 0 || level.height == level.asked_height,
            "{level:?}"
        );
    }
}
