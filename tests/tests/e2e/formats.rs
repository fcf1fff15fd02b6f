//! Whatever the encoders of broadcasters make becomes renditions that any player takes.

use std::path::PathBuf;

use rackcast_segment::h264::{parameter_sets, parse_sps};
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Limits};
use rackcast_tests::check;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{encoded, publish};

use crate::PICTURE;

/// Large and small rungs: GStreamer takes them to have unlike colours. One node, so that its pipelines are
/// warm from the second segment on.
const LADDER: &str = "720p@400k,360p@200k,180p@100k";

/// Six seconds of moving pictures.
fn picture(size: &str, rate: u32, then: &str) -> String {
    format!("testsrc2=size={size}:rate={rate}:duration=6{then}")
}

/// As many lines as HD has; narrow, since two cores do all of it.
fn large() -> PathBuf {
    let options = ["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "4M"];
    encoded("320x720-25-6s", &picture("320x720", 25, ""), &options)
}

fn ten_bits() -> PathBuf {
    let options = [
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p10le",
        "-bf",
        "2",
    ];
    encoded("640x360-25-6s-10bit", &picture("640x360", 25, ""), &options)
}

/// Fifty fields a second, the upper ones first.
fn fields() -> PathBuf {
    let interleaved = picture("640x360", 50, ",tinterlace=interleave_top");
    let flags = ["-flags", "+ildct+ilme", "-x264-params", "tff=1"];
    let options = ["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-r", "25"];
    encoded(
        "640x360-50i-6s",
        &interleaved,
        &[&options[..], &flags].concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_hd_of_ten_bits_and_of_fields_play_in_every_rendition() {
    let streams = [
        (
            "live/large",
            large(),
            vec!["180p", "360p", "720p", "source"],
        ),
        ("live/ten-bits", ten_bits(), vec!["180p", "360p", "source"]),
        ("live/fields", fields(), vec!["180p", "360p", "source"]),
    ];
    let dev = Dev::start(&["--no-publisher", "--transcoders", "1", "--ladder", LADDER]).await;
    // One after another: what is asked here is not how much the machine carries.
    for (stream, file, names) in &streams {
        let _publisher = publish(file, &dev.publish_url(stream));
        let player = Player::follow(&dev.master_url(stream)).await;
        let recording = player.to_the_end(names.len()).await;
        let tracks: Vec<_> = recording.tracks.keys().collect();
        assert_eq!(tracks, *names, "{stream}");
        check::assert_nothing_lost(&recording);
        check::assert_same_pictures(&recording);
        check::assert_plays_through(&recording, PICTURE);
        for name in recording.transcoded() {
            let media = recording.track(name).bytes();
            let read = ts::read(&media, Timestamp(0), &Limits::default()).unwrap();
            let (sps, _) = parameter_sets(&read.video[0].data);
            let format = parse_sps(sps.unwrap()).unwrap();
            assert!(format.samples.is_plain(), "{stream} {name}: {format:?}");
            assert!(!format.interlaced, "{stream} {name}: {format:?}");
        }
    }
}
