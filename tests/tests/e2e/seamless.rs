//! Unlike nodes take turns, and nobody can tell.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::h264::{parameter_sets, parse_sps};
use rackcast_segment::id::{RenditionName, Sequence};
use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::AccessUnit;
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, Counters, Layout, Limits, Writer, restamp};
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::job::{Job, JobSpec, Source};
use rackcast_tests::probe::{self, Kind};
use rackcast_tests::publish::{Sample, pictures};
use rackcast_tests::rack::Node;

use crate::PICTURE;

const SECONDS: u32 = 600;
const RATE: u32 = 25;
const FRAMES: usize = (SECONDS * RATE) as usize;

/// Ten minutes of small pictures, cut at their keyframes.
fn segments() -> Vec<Vec<AccessUnit>> {
    let sample = Sample {
        seconds: SECONDS,
        width: 160,
        height: 90,
        rate: RATE,
        audio: false,
        b_frames: 2,
    };
    let limits = Limits {
        units: FRAMES,
        ..Limits::default()
    };
    let demuxed =
        ts::read(&pictures(&sample.file()), Timestamp(900_000), &limits).expect("ffmpeg's TS");
    assert_eq!(demuxed.video.len(), FRAMES);
    let mut segments: Vec<Vec<AccessUnit>> = Vec::new();
    for mut unit in demuxed.video {
        // An epoch begins near ten seconds.
        (unit.pts, unit.dts) = (unit.pts + Ticks(900_000), unit.dts + Ticks(900_000));
        if unit.idr {
            segments.push(Vec::new());
        }
        segments
            .last_mut()
            .expect("the first picture is a keyframe")
            .push(unit);
    }
    segments
}

fn job(number: usize, units: &[AccessUnit], bytes: usize, renditions: &[RenditionSpec]) -> Job {
    let (Some(sps), _) = parameter_sets(&units[0].data) else {
        panic!("no SPS")
    };
    let format = parse_sps(sps).unwrap();
    let pts = || units.iter().map(|u| u.pts);
    let source = Source {
        frames: u32::try_from(units.len()).unwrap(),
        frame_rate: Ratio::new(RATE, 1).unwrap(),
        first_pts: pts().min().unwrap(),
        last_pts: pts().max().unwrap(),
        duration: Ticks(PICTURE * i64::try_from(units.len()).unwrap()),
        bytes: bytes as u64,
        format,
    };
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(2 * PICTURE),
        colour: source.format.colour,
        sample_aspect: source.format.sample_aspect,
    };
    Job {
        stream: "ten-minutes".parse().unwrap(),
        sequence: Sequence(number as u64),
        deadline: Duration::from_secs(8),
        attempt: 1,
        spec: JobSpec {
            source,
            renditions: renditions.to_vec(),
            shape,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_from_alternating_nodes_and_encoders_have_no_seam() {
    let (x264, openh264) = tokio::join!(
        Node::start("[encoder]\nencoder = \"x264\""),
        Node::start("[encoder]\nencoder = \"openh264\""),
    );
    let segments = segments();
    let ladder: Ladder = "90p@100k,low:72@60k".parse().unwrap();
    let renditions = ladder.resolve(160, 90, f64::from(RATE));

    let mut outputs: BTreeMap<RenditionName, (std::fs::File, Counters)> = BTreeMap::new();
    let dir = tempfile::tempdir().unwrap();
    for spec in &renditions {
        let file = std::fs::File::create(dir.path().join(format!("{}.ts", spec.name))).unwrap();
        outputs.insert(spec.name.clone(), (file, Counters::default()));
    }
    // Both nodes work at once, each on every second segment.
    for (pair, units) in segments.chunks(2).enumerate() {
        let mut jobs = Vec::new();
        for (i, (units, node)) in units.iter().zip([&x264, &openh264]).enumerate() {
            let body = Writer::new(Layout {
                video: true,
                audio: false,
            })
            .segment(units, None);
            let job = job(2 * pair + i, units, body.len(), &renditions);
            jobs.push((job.clone(), async move { node.transcode(&job, body).await }));
        }
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let answers = futures_util::future::join_all(answers).await;
        for (job, answer) in jobs.iter().zip(answers) {
            for (name, media) in answer.expect("a node answers with every rendition") {
                assert_fits(job, &name, &media);
                let (file, counters) = outputs.get_mut(&name).unwrap();
                let mut media = media.to_vec();
                restamp(&mut media, counters).unwrap();
                file.write_all(&media).unwrap();
            }
        }
    }

    for spec in &renditions {
        let path = dir.path().join(format!("{}.ts", spec.name));
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
        .expect("a rendition asked for");
    let expect = Expectation {
        spec,
        source: &job.spec.source,
        shape: &job.spec.shape,
    };
    let verified =
        verify(media, &expect).unwrap_or_else(|e| panic!("segment {}, {name}: {e}", job.sequence));
    assert_eq!(verified.frames, job.spec.source.frames);
}
