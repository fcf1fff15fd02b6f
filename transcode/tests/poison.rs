//! Segments that would harm: each is refused with its reason, in time, and harms nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Node, Segment, answer, full, h264_bits, job, make, segment, segments, ts_of};
use rackcast_segment::h264::nal_units;
use rackcast_segment::shape::Ratio;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::reply::RefusalCode::{self, TooLarge, Undecodable, Unsupported};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(20);

/// A body, what is claimed of it, and how that is to be refused.
struct Poison {
    name: &'static str,
    job: Job,
    body: Bytes,
    code: RefusalCode,
    /// Part of the reason that is given.
    reason: &'static str,
}

fn poison(
    name: &'static str,
    code: RefusalCode,
    reason: &'static str,
    segment: &Segment,
    body: Bytes,
) -> Poison {
    let mut job = job(segment);
    job.deadline = DEADLINE;
    job.spec.source.bytes = body.len() as u64;
    Poison {
        name,
        job,
        body,
        code,
        reason,
    }
}

/// A segment that lies in its headers.
fn claim(
    name: &'static str,
    code: RefusalCode,
    reason: &'static str,
    change: impl FnOnce(&mut Job),
) -> Poison {
    let s = &segments()[0];
    let mut poison = poison(name, code, reason, s, s.ts.clone());
    change(&mut poison.job);
    poison
}

fn corpus() -> Vec<Poison> {
    let s = &segments()[0];
    let with_sps = |sps: Vec<u8>| {
        let mut units = s.units.clone();
        units[0].data = h264_bits::replace_sps(&units[0].data, &sps);
        ts_of(&units)
    };
    let mut flipped = s.units.clone();
    for unit in &mut flipped {
        unit.data = unit
            .data
            .iter()
            .map(|b| if *b > 1 { b ^ 0x20 } else { *b })
            .collect();
    }
    let mut headless = s.units.clone();
    headless[0].data = h264_bits::without_parameter_sets(&headless[0].data);
    let endless = make(
        &["testsrc2=size=320x180:rate=30:duration=40"],
        &["-g", "10000", "-bf", "0"],
        "180p@300k,low:90@100k",
    )
    .remove(0);
    let mut poisons = vec![
        poison(
            "truncated",
            Undecodable,
            "",
            s,
            s.ts.slice(..s.ts.len() / 2),
        ),
        poison("bit-flipped", Undecodable, "", s, ts_of(&flipped)),
        poison("zero", Undecodable, "", s, vec![0; s.ts.len()].into()),
        poison(
            "noise",
            Unsupported,
            "program",
            s,
            vec![0x47; s.ts.len()].into(),
        ),
        poison("MPEG-2 video", Unsupported, "no H.264", s, common::mpeg2()),
        poison("no pictures", Unsupported, "no H.264", s, ts_of(&[])),
        poison("no parameter sets", Undecodable, "", s, ts_of(&headless)),
        poison(
            "an SPS of 16384x16384",
            Undecodable,
            "parameter set",
            s,
            with_sps(h264_bits::sps(1_024, 1_024, 1)),
        ),
        poison(
            "an SPS of a million macroblocks on a side",
            Undecodable,
            "",
            s,
            with_sps(h264_bits::sps(1 << 20, 1 << 20, 1)),
        ),
        poison(
            "an SPS of 5,000 reference pictures",
            Undecodable,
            "",
            s,
            with_sps(h264_bits::sps(20, 12, 5_000)),
        ),
        poison(
            "an endless GOP",
            Undecodable,
            "1200 pictures, 60 announced",
            s,
            endless.ts,
        ),
        claim("16k x 16k", TooLarge, "too large", |j| {
            (j.spec.source.format.width, j.spec.source.format.height) = (16_384, 16_384);
        }),
        claim("10,000 frames", TooLarge, "too large", |j| {
            j.spec.source.frames = 10_000;
        }),
        claim("more frames than this node takes", TooLarge, "2400", |j| {
            j.spec.source.frames = 2_401;
        }),
        claim("no frames", RefusalCode::BadRequest, "no frames", |j| {
            j.spec.source.frames = 0;
        }),
        claim("240 fps", TooLarge, "a second", |j| {
            j.spec.source.frame_rate = Ratio::new(240, 1).unwrap();
        }),
    ];
    let fast = make(
        &["testsrc2=size=320x180:rate=240:duration=2"],
        &["-g", "480", "-bf", "0"],
        "180p@300k",
    )
    .remove(0);
    poisons.push(poison(
        "240 fps that are there",
        TooLarge,
        "a second",
        &fast,
        fast.ts.clone(),
    ));
    poisons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_refused_with_its_reason_and_harms_nobody() {
    let node = Arc::new(Node::start("[worker]\ncount = 2").await);
    node.until_load("both workers are up", |l| l.slots == 2)
        .await;
    let serving = node.workers();
    // One who sends nothing but good segments.
    let end = CancellationToken::new();
    let other = tokio::spawn({
        let (node, end) = (node.clone(), end.clone());
        async move {
            while !end.is_cancelled() {
                node.transcode(&segments()[1]).await.unwrap();
            }
        }
    });
    for poison in corpus() {
        let name = poison.name;
        let begun = Instant::now();
        let refused = answer(node.send(node.post(&poison.job, full(poison.body))).await)
            .await
            .map(|answer| answer.summary)
            .expect_err(name);
        assert_eq!(refused.refusal.code, poison.code, "{name}: {refused:?}");
        assert!(
            refused.refusal.message.contains(poison.reason),
            "{name}: {refused:?}"
        );
        assert!(begun.elapsed() < DEADLINE, "{name}");
    }
    end.cancel();
    other.await.unwrap();
    assert_eq!(node.workers(), serving, "none of this kills a worker");
}

/// A stray byte behind the end, as cameras that are sold write it: only a reader of parameter sets
/// would mind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decoders_forgive_is_no_poison() {
    let node = Node::start("[worker]\ncount = 1").await;
    let mut units = segments()[0].units.clone();
    let sps = nal_units(&units[0].data).find(|nal| nal[0] & 0x1f == 7);
    let stray = [sps.unwrap(), &[4]].concat();
    units[0].data = h264_bits::replace_sps(&units[0].data, &stray);
    node.until_load("a worker is up", |l| l.slots == 1).await;
    node.transcode(&segment(&units, "180p@300k")).await.unwrap();
}

/// More than a worker may have of memory: the job of a segment that really kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_takes_all_memory_kills_one_serving_worker() {
    let config = "[worker]\ncount = 1\nmax_memory_bytes = 268435456\nstall_timeout = '10s'";
    let node = Node::start(config).await;
    let large = make(
        &["testsrc2=size=3840x2160:rate=30:duration=2"],
        &["-g", "60", "-bf", "0"],
        "2160p@8000k,1440p@4000k,1080p@2000k",
    )
    .remove(0);
    let refused = node.transcode(&large).await.unwrap_err();
    let good = segment(&segments()[0].units, "180p@300k");
    node.until_load("a worker is back", |l| (l.slots, l.busy) == (1, 0))
        .await;
    node.transcode(&good).await.unwrap();
    assert_eq!(refused.refusal.code, RefusalCode::KilledWorker);
    let ends = node.ends("crashed").await + node.ends("exited").await + node.ends("stalled").await;
    assert_eq!(ends, 2, "one that served, one that was for it alone");
}
