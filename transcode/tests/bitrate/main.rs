//! The delivered bit rate of clips of half a minute, by real encoders that take turns.
//!
//! A clip that can use the bits of its ladder must have the target's mean, whichever nodes made it. Slides
//! cannot: at a quality beyond which nobody sees a difference they need less. Of them it is asked that they
//! never have more than the target on average. No segment of any may be above what the master playlist
//! declares as `BANDWIDTH`, MPEG-TS included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod clips;
#[path = "../common/mod.rs"]
mod common;

use std::collections::VecDeque;

use clips::Clip;
use common::{Segment, ts_of};
use rackcast_segment::id::Sequence;
use rackcast_segment::rate::{Account, EncoderName, Policy, expected_bandwidth};
use rackcast_segment::wire::job::JobSpec;
use rackcast_transcode::pipeline::{Encoder, EncoderConfig, Engine, Pipelines, Rendition};
use tokio_util::sync::CancellationToken;

/// A node, as far as bit rates go.
struct Node {
    pipelines: Pipelines,
    name: Option<EncoderName>,
}

impl Node {
    fn new(encoder: Encoder) -> Self {
        let config = EncoderConfig {
            encoder,
            ..EncoderConfig::default()
        };
        Self {
            name: config.rate_name(),
            pipelines: Pipelines::new(config, 2).unwrap(),
        }
    }

    /// Every rendition of the job, in its order.
    fn transcode(&mut self, job: &JobSpec, segment: &Segment) -> Vec<Rendition> {
        let mut made = Vec::new();
        let (cancel, mut emit) = (CancellationToken::new(), |r| made.push(r));
        let pipelines = &mut self.pipelines;
        pipelines
            .transcode(job, &segment.units, &cancel, &mut emit)
            .unwrap();
        made.sort_by_key(|r| job.renditions.iter().position(|spec| spec.name == r.name));
        made
    }
}

/// One rung over a whole clip.
#[derive(Default)]
struct Delivered {
    /// Bits of video, and those that they were to be.
    got: f64,
    due: f64,
    /// Of each segment, the one over the other.
    each: Vec<f64>,
    /// Of the segment that comes nearest to what is declared of its rendition, the one over the other.
    highest: f64,
}

fn bits(rendition: &Rendition) -> u64 {
    let sizes = rendition.pictures.iter().map(|unit| unit.data.len());
    sizes.sum::<usize>() as u64 * 8
}

/// Sends segments to the nodes in turn, as an ingest would; a result is known when `late` others have been
/// sent after it.
fn deliver(segments: &[Segment], nodes: &mut [Node], late: usize) -> Vec<Delivered> {
    let first = &segments[0].job;
    let open = |spec| Account::new(Policy::default(), spec, first.source.frame_rate);
    let mut accounts: Vec<_> = first.renditions.iter().map(open).collect();
    let mut all: Vec<_> = accounts.iter().map(|_| Delivered::default()).collect();
    let mut out = VecDeque::new();
    for (n, segment) in segments.iter().enumerate() {
        let sequence = Sequence(n as u64);
        let mut job = segment.job.clone();
        let (duration, frames) = (job.source.duration, job.source.frame_rate);
        for (spec, account) in job.renditions.iter().zip(&mut accounts) {
            let (rate, _) = account.ask(sequence, duration);
            job.rates.insert(spec.name.clone(), rate);
        }
        let turn = n % nodes.len();
        let node = &mut nodes[turn];
        let made = node.transcode(&job, segment);
        for ((spec, rendition), rung) in job.renditions.iter().zip(&made).zip(&mut all) {
            let due = f64::from(spec.bitrate) * duration.seconds();
            let media = ts_of(&rendition.pictures);
            let rate = media.len() as f64 * 8.0 / duration.seconds();
            let declared = expected_bandwidth(spec, Some(frames));
            rung.got += bits(rendition) as f64;
            rung.due += due;
            rung.each.push(bits(rendition) as f64 / due);
            rung.highest = rung.highest.max(rate / declared);
        }
        let counted: Vec<_> = made.iter().map(bits).collect();
        out.push_back((sequence, counted, node.name.clone()));
        while out.len() > late {
            let (sequence, counted, name) = out.pop_front().unwrap();
            for (account, bits) in accounts.iter_mut().zip(counted) {
                account.came(sequence, bits, name.as_ref()).unwrap();
            }
        }
    }
    all
}

/// What is outside of the bounds.
fn holds(size: &str, ladder: &str) -> Vec<String> {
    use Encoder::{Openh264, X264};
    println!(
        "| Clip | Nodes | Rung | Mean over target | Each segment | Highest over `BANDWIDTH` |"
    );
    println!("|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for clip in Clip::ALL {
        let segments = clip.segments(size, ladder);
        for (nodes, encoders, late) in [
            ("x264, x264", [X264, X264], 0),
            ("x264, openh264", [X264, Openh264], 0),
            ("the same, one segment late", [X264, Openh264], 1),
        ] {
            let delivered = deliver(&segments, &mut encoders.map(Node::new), late);
            for (spec, rung) in segments[0].job.renditions.iter().zip(delivered) {
                let mean = rung.got / rung.due;
                let each = || rung.each.iter().copied();
                let (least, most) = (each().fold(9.0, f64::min), each().fold(0.0, f64::max));
                let highest = rung.highest;
                let line = format!(
                    "| {clip:?} | {nodes} | {} | {mean:.3} | {least:.2} to {most:.2} | {highest:.2} |",
                    spec.name
                );
                println!("{line}");
                if std::env::var_os("RACKCAST_EACH").is_some() {
                    println!("{:.2?}", rung.each);
                }
                let from = if clip.can_use_all() { 0.95 } else { 0.0 };
                if !(from..=1.05).contains(&mean) || highest > 1.0 {
                    wrong.push(line);
                }
            }
        }
    }
    wrong
}

#[test]
fn the_mean_is_the_target_and_no_segment_is_above_its_bandwidth() {
    let wrong = holds("320x180", "180p@300k,90p@100k");
    assert!(wrong.is_empty(), "out of bounds:\n{}", wrong.join("\n"));
}

/// A still picture, and in the middle of the segment a scene that has nothing to do with it: an encoder that
/// knows a bit rate only has spent too little, and then spends too much.
#[test]
fn what_came_out_larger_than_it_may_be_is_made_again_smaller() {
    let still =
        "testsrc2=size=320x180:rate=25,fps=1/5,fps=25,trim=duration=1,setpts=PTS-STARTPTS[a]";
    let noise = "mandelbrot=size=320x180:rate=25,noise=alls=40:all_seed=7:allf=t,trim=duration=1,\
                 setpts=PTS-STARTPTS[b]";
    let source = format!("{still};{noise};[a][b]concat=n=2");
    let options = ["-g", "50", "-crf", "12", "-pix_fmt", "yuv420p"];
    let segment = common::make(&[&source], &options, "180p@300k,90p@100k").remove(0);
    let mut node = Node::new(Encoder::Openh264);
    let mut made = |peaks: [u32; 2]| -> Vec<f64> {
        let mut job = segment.job.clone();
        for (spec, peak) in segment.job.renditions.iter().zip(peaks) {
            let mut account = Account::new(Policy::default(), spec, job.source.frame_rate);
            let (mut rate, _) = account.ask(Sequence(0), job.source.duration);
            rate.peak = peak;
            job.rates.insert(spec.name.clone(), rate);
        }
        let renditions = node.transcode(&job, &segment);
        assert_eq!(renditions.len(), 2, "each comes once");
        let second = |r| bits(r) as f64 / job.source.duration.seconds();
        renditions.iter().map(second).collect()
    };
    let anything = made([u32::MAX; 2]);
    println!("without a limit: {anything:?}");
    assert!(
        anything[0] > 1.3 * 300_000.0,
        "it is not what this test needs"
    );
    let limits = [(anything[0] * 0.8) as u32, u32::MAX];
    let bounded = made(limits);
    println!("below {limits:?}: {bounded:?}");
    assert!(bounded[0] <= f64::from(limits[0]));
    assert!(bounded[0] > 0.4 * f64::from(limits[0]), "it is not starved");
    assert_eq!(bounded[1], anything[1], "the others are as they were");
}
