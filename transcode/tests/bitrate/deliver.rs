//! Clips through nodes that take turns, counted as an ingest counts them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::id::Sequence;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::rate::{Account, EncoderName, Policy, expected_bandwidth};
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::HEADER_ENCODER;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_transcode::pipeline::{Encoder, EncoderConfig, Engine, Pipelines, Rendition};
use tokio_util::sync::CancellationToken;

use crate::clips::Clip;
use crate::common::{Node, Segment, answer, full, job, ts_of};

/// A node, as far as bit rates go.
pub(crate) enum Maker {
    /// Its pipelines, in this process.
    Pipelines(Box<Pipelines>, Option<EncoderName>),
    /// All of it, over HTTP.
    Node(Box<Node>),
}

impl Maker {
    /// Pipelines in this process.
    pub(crate) fn pipelines(encoder: Encoder) -> Self {
        let config = EncoderConfig {
            encoder,
            ..EncoderConfig::default()
        };
        let name = config.rate_name();
        Self::Pipelines(Box::new(Pipelines::new(config, 2).unwrap()), name)
    }

    /// A process of its own, which has the time that it needs on a machine that is busy.
    pub(crate) async fn node(encoder: Encoder) -> Self {
        let encoder = encoder.as_str();
        let config = format!(
            "[front]\nmax_deadline = '10min'\n[worker]\ncount = 1\nheartbeat_timeout = '20s'\n\
             stall_timeout = '20s'\n[encoder]\nencoder = '{encoder}'"
        );
        Self::Node(Box::new(Node::start(&config).await))
    }

    /// Every rendition of the job, in its order, and the encoder if that was told a quality.
    pub(crate) async fn make(
        &mut self,
        job: &JobSpec,
        segment: &Segment,
    ) -> (Vec<Bytes>, Option<EncoderName>) {
        match self {
            Self::Pipelines(pipelines, name) => {
                let mut made = Vec::new();
                let (cancel, mut emit) = (CancellationToken::new(), |r: Rendition| made.push(r));
                pipelines
                    .transcode(job, &segment.units, &cancel, &mut emit)
                    .unwrap();
                let media = made.iter().map(|r| (r.name.as_str(), ts_of(&r.pictures)));
                (in_order(job, media), name.clone())
            }
            Self::Node(node) => {
                let job = Job {
                    deadline: Duration::from_secs(600),
                    spec: job.clone(),
                    ..self::job(segment)
                };
                let response = node.send(node.post(&job, full(segment.ts.clone()))).await;
                let name = response.headers().get(HEADER_ENCODER);
                let name = name.map(|name| name.to_str().unwrap().parse().unwrap());
                let answer = answer(response).await.unwrap();
                assert!(answer.summary.failure.is_none(), "{:?}", answer.summary);
                let media = answer.renditions.iter();
                let media = media.map(|(name, media)| (name.as_str(), media.clone()));
                (in_order(&job.spec, media), name)
            }
        }
    }
}

/// The media of each rendition of the job, each of which came once.
fn in_order<'a>(job: &JobSpec, made: impl Iterator<Item = (&'a str, Bytes)>) -> Vec<Bytes> {
    let mut made: Vec<_> = made.collect();
    assert_eq!(made.len(), job.renditions.len());
    made.sort_by_key(|(name, _)| job.renditions.iter().position(|r| r.name.as_str() == *name));
    made.into_iter().map(|(_, media)| media).collect()
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

/// Bits of video of each rendition, all of them as an ingest would publish them.
pub(crate) fn bits(job: &JobSpec, made: &[Bytes]) -> Vec<u64> {
    let bits = |(spec, media): (_, &Bytes)| {
        let expect = Expectation {
            spec,
            source: &job.source,
            shape: &job.shape,
        };
        verify(media, &expect).unwrap().bits
    };
    job.renditions.iter().zip(made).map(bits).collect()
}

/// Sends segments to the nodes in turn, as an ingest would; a result is known when `late` others have been
/// sent after it.
async fn deliver(segments: &[Segment], nodes: &mut [Maker], late: usize) -> Vec<Delivered> {
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
        let (made, name) = nodes[turn].make(&job, segment).await;
        let counted = bits(&job, &made);
        let figures = made.iter().zip(&counted).zip(&mut all);
        for (spec, ((media, bits), rung)) in job.renditions.iter().zip(figures) {
            let (bits, due) = (*bits as f64, f64::from(spec.bitrate) * duration.seconds());
            let rate = media.len() as f64 * 8.0 / duration.seconds();
            let declared = expected_bandwidth(spec, Some(frames));
            rung.got += bits;
            rung.due += due;
            rung.each.push(bits / due);
            rung.highest = rung.highest.max(rate / declared);
        }
        out.push_back((sequence, counted, name));
        while out.len() > late {
            let (sequence, counted, name) = out.pop_front().unwrap();
            for (account, bits) in accounts.iter_mut().zip(counted) {
                account.came(sequence, bits, name.as_ref()).unwrap();
            }
        }
    }
    all
}

/// The table's head.
pub(crate) fn head() {
    println!(
        "| Clip | Nodes | Rung | Mean over target | Each segment | Highest over `BANDWIDTH` |"
    );
    println!("|---|---|---|---|---|---|");
}

/// A line for each rung of a clip, and what it got over what it was to have. Those that are out of bounds,
/// the mean of which may be no less than this, go to `wrong`.
pub(crate) async fn means(
    clip: Clip,
    least_mean: f64,
    segments: &[Segment],
    (called, nodes, late): (&str, &mut [Maker], usize),
    wrong: &mut Vec<String>,
) -> Vec<f64> {
    let delivered = deliver(segments, nodes, late).await;
    let rungs = segments[0].job.renditions.iter().zip(delivered);
    let mean = |(spec, rung): (&RenditionSpec, Delivered)| {
        let mean = rung.got / rung.due;
        let each = || rung.each.iter().copied();
        let (least, most) = (each().fold(9.0, f64::min), each().fold(0.0, f64::max));
        let highest = rung.highest;
        let line = format!(
            "| {clip:?} | {called} | {} | {mean:.3} | {least:.2} to {most:.2} | {highest:.2} |",
            spec.name
        );
        println!("{line}");
        if std::env::var_os("RACKCAST_EACH").is_some() {
            println!("{:.2?}", rung.each);
        }
        if !(least_mean..=1.05).contains(&mean) || highest > 1.0 {
            wrong.push(line);
        }
        mean
    };
    rungs.map(mean).collect()
}
