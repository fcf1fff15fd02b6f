//! Unlike nodes take turns, and nobody can tell.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use futures_util::future::join_all;
use rackcast_segment::id::RenditionName;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Counters, Layout, Limits, Writer, restamp};
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::job::Job;
use rackcast_tests::job;
use rackcast_tests::probe::{self, Kind};
use rackcast_tests::publish::{Sample, pictures};
use rackcast_tests::rack::Node;

use crate::PICTURE;

const SECONDS: u32 = 600;
const FRAMES: usize = 25 * SECONDS as usize;

/// Ten minutes of small pictures, cut at their keyframes.
fn segments() -> Vec<Vec<AccessUnit>> {
    let small = Sample {
        seconds: SECONDS,
        width: 160,
        height: 90,
        audio: false,
        ..Sample::default()
    };
    let limits = Limits {
        units: FRAMES,
        ..Limits::default()
    };
    let demuxed = ts::read(&pictures(&small.file()), Timestamp(900_000), &limits).unwrap();
    assert_eq!(demuxed.video.len(), FRAMES);
    job::cut(demuxed.video)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_from_alternating_nodes_and_encoders_have_no_seam() {
    let (x264, openh264) = tokio::join!(
        Node::start("[encoder]\nencoder = \"x264\""),
        Node::start("[encoder]\nencoder = \"openh264\""),
    );
    let segments = segments();
    let ladder: Ladder = "90p@100k,low:72@60k".parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &RenditionName| dir.path().join(format!("{name}.ts"));

    let mut outputs: BTreeMap<RenditionName, (std::fs::File, Counters)> = BTreeMap::new();
    // Both nodes work at once, each on every second segment.
    for (pair, units) in segments.chunks(2).enumerate() {
        let answers = join_all(units.iter().zip([&x264, &openh264]).enumerate().map(
            |(i, (units, node))| {
                let body = Writer::new(Layout {
                    video: true,
                    audio: false,
                })
                .segment(units, None);
                let job = job::job(2 * pair + i, units, body.len(), &ladder);
                async move { (node.transcode(&job, body).await, job) }
            },
        ));
        for (answer, job) in answers.await {
            for (name, media) in answer.expect("a node answers with every rendition") {
                assert_fits(&job, &name, &media);
                let (file, counters) = outputs.entry(name.clone()).or_insert_with(|| {
                    (
                        std::fs::File::create(path(&name)).unwrap(),
                        Counters::default(),
                    )
                });
                let mut media = media.to_vec();
                restamp(&mut media, counters).unwrap();
                file.write_all(&media).unwrap();
            }
        }
    }

    for spec in ladder.resolve(160, 90, 25.0) {
        let path = path(&spec.name);
        let packets = probe::packets(&path, Kind::Video);
        assert_eq!(packets.len(), FRAMES, "{}", spec.name);
        assert_eq!(
            packets.iter().filter(|p| p.key).count(),
            segments.len(),
            "{}",
            spec.name
        );
        probe::assert_contiguous(&packets, PICTURE);
        assert_eq!(probe::decode(&path, Kind::Video), FRAMES, "{}", spec.name);
        assert_eq!(
            probe::size(&path),
            (spec.width, spec.height, "h264".to_owned())
        );
    }
}

/// The ingest would publish it.
fn assert_fits(job: &Job, name: &RenditionName, media: &Bytes) {
    let spec = job
        .spec
        .renditions
        .iter()
        .find(|r| r.name == *name)
        .expect("one that was asked for");
    let expect = Expectation {
        spec,
        source: &job.spec.source,
        shape: &job.spec.shape,
    };
    let verified =
        verify(media, &expect).unwrap_or_else(|e| panic!("segment {}, {name}: {e}", job.sequence));
    assert_eq!(verified.frames, job.spec.source.frames);
}
