//! Unlike nodes take turns, and nobody can tell.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use futures_util::future::join_all;
use rackcast_segment::id::RenditionName;
use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::AccessUnit;
use rackcast_segment::rate::expected_bandwidth;
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, Counters, Layout, Limits, Writer, restamp};
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::job::Job;
use rackcast_tests::job;
use rackcast_tests::probe::{self, Kind};
use rackcast_tests::publish::{Sample, pictures};
use rackcast_tests::rack::{Node, renditions};
use rackcast_tests::rates::{Accounts, encoder};

use crate::PICTURE;

/// Small pictures with two renditions of each: what is looked at are the seams, and many of them.
const LADDER: &str = "90p@100k,low:72@60k";
const SIZE: (u32, u32) = (160, 90);

/// So many seconds, cut at their keyframes.
fn segments(seconds: u32) -> Vec<Vec<AccessUnit>> {
    let small = Sample {
        seconds,
        width: SIZE.0,
        height: SIZE.1,
        audio: false,
        ..Sample::default()
    };
    let limits = Limits {
        units: frames(seconds),
        bytes: 1 << 30,
        ..Limits::default()
    };
    let demuxed = ts::read(&pictures(&small.file()), Timestamp(900_000), &limits).unwrap();
    assert_eq!(demuxed.video.len(), frames(seconds));
    job::cut(demuxed.video)
}

fn frames(seconds: u32) -> usize {
    25 * seconds as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_from_alternating_nodes_and_encoders_have_no_seam() {
    let nodes = tokio::join!(
        Node::start("[encoder]\nencoder = \"x264\""),
        Node::start("[encoder]\nencoder = \"openh264\""),
    );
    alternate(600, &[nodes.0, nodes.1], 1, |_| ()).await;
}

/// Two nodes of two workers each. What they take of memory after the first tenth is all that they
/// will take.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn soak_an_hour_of_media_from_alternating_nodes_and_workers() {
    let of = |encoder| format!("[worker]\ncount = 2\n[encoder]\nencoder = \"{encoder}\"");
    let (x264, openh264) = (of("x264"), of("openh264"));
    let nodes = tokio::join!(Node::start(&x264), Node::start(&openh264));
    let nodes = [nodes.0, nodes.1];
    let mut memory: Vec<[u64; 2]> = Vec::new();
    alternate(3_600, &nodes, 2, |done| {
        if done >= 0.1 * (memory.len() + 1) as f64 {
            memory.push([0, 1].map(|n: usize| nodes[n].pids().into_iter().map(resident).sum()));
            println!("{:3.0} %: {:?} KiB", 100.0 * done, memory[memory.len() - 1]);
        }
    })
    .await;
    let first = memory[0];
    for later in &memory {
        for (now, then) in later.iter().zip(first) {
            assert!(
                *now < then + then / 20 + 8 * 1024,
                "memory grows: {memory:?}"
            );
        }
    }
}

/// Sends segments to nodes in turn, to each several at a time, with what an ingest's accounts tell of each,
/// and looks at what they make as one stream. `each` hears how far it is.
async fn alternate(seconds: u32, nodes: &[Node], at_once: usize, mut each: impl FnMut(f64)) {
    let segments = segments(seconds);
    let ladder: Ladder = LADDER.parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &RenditionName| dir.path().join(format!("{name}.ts"));

    let mut accounts = Accounts::default();
    let mut outputs: BTreeMap<RenditionName, Output> = BTreeMap::new();
    let batch = nodes.len() * at_once;
    for (number, batch_of) in segments.chunks(batch).enumerate() {
        let answers = join_all(batch_of.iter().enumerate().map(|(i, units)| {
            let body = Writer::new(Layout {
                video: true,
                audio: false,
            })
            .segment(units, None);
            let mut job = job::job(batch * number + i, units, body.len(), &ladder);
            accounts.ask(&mut job);
            let node = &nodes[i % nodes.len()];
            async move { (node.send(&job, body).await, job) }
        }));
        for (answer, job) in answers.await {
            let answer = answer.expect("a node answers");
            let by = encoder(&answer);
            let made = renditions(answer.header("content-type"), answer.body.clone());
            for (name, media) in made.expect("with every rendition") {
                let bits = assert_fits(&job, &name, &media);
                accounts.came(job.sequence, &name, bits, by.as_ref());
                let output = outputs
                    .entry(name.clone())
                    .or_insert_with(|| Output::new(&path(&name)));
                output.add(&media, bits, job.spec.source.duration);
            }
        }
        each((batch * (number + 1)) as f64 / segments.len() as f64);
    }

    for spec in ladder.resolve(SIZE.0, SIZE.1, 25.0) {
        let path = path(&spec.name);
        let packets = probe::packets(&path, Kind::Video);
        assert_eq!(packets.len(), frames(seconds), "{}", spec.name);
        let keys = packets.iter().filter(|p| p.key).count();
        assert_eq!(keys, segments.len(), "{}", spec.name);
        probe::assert_contiguous(&packets, PICTURE);
        let decoded = probe::decode(&path, Kind::Video);
        assert_eq!(decoded, frames(seconds), "{}", spec.name);
        let size = (spec.width, spec.height, "h264".to_owned());
        assert_eq!(probe::size(&path), size);
        outputs[&spec.name].assert_rates(&spec);
    }
}

/// A rendition as it would be served.
struct Output {
    file: std::fs::File,
    counters: Counters,
    /// Of video.
    bits: u64,
    length: f64,
    /// The most bits a second of a segment, in MPEG-TS.
    peak: f64,
}

impl Output {
    fn new(path: &Path) -> Self {
        Self {
            file: std::fs::File::create(path).unwrap(),
            counters: Counters::default(),
            bits: 0,
            length: 0.0,
            peak: 0.0,
        }
    }

    fn add(&mut self, media: &[u8], bits: u64, duration: Ticks) {
        let mut media = media.to_vec();
        restamp(&mut media, &mut self.counters).unwrap();
        self.file.write_all(&media).unwrap();
        self.bits += bits;
        self.length += duration.seconds();
        self.peak = self.peak.max(media.len() as f64 * 8.0 / duration.seconds());
    }

    /// The mean is the ladder's, and no segment is above what the master playlist states.
    fn assert_rates(&self, spec: &RenditionSpec) {
        let mean = self.bits as f64 / self.length;
        let over = mean / f64::from(spec.bitrate);
        let stated = expected_bandwidth(spec, Ratio::new(25, 1));
        println!(
            "{}: mean {:.1} kb/s of video, {over:.3} of the target; peak {:.1} kb/s in MPEG-TS, the playlist states {:.1}",
            spec.name,
            mean / 1e3,
            self.peak / 1e3,
            stated / 1e3
        );
        assert!(self.peak <= stated, "{}", spec.name);
        assert!((0.95..=1.05).contains(&over), "{}: {over}", spec.name);
    }
}

/// KiB of memory that a process has and shares with no file.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let number = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse().ok());
    number.unwrap_or(0)
}

/// The ingest would publish it, and counts so many bits of video.
fn assert_fits(job: &Job, name: &RenditionName, media: &Bytes) -> u64 {
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
    verified.bits
}
