//! A clip as an ingest sends it: what a job is told of its rates comes from accounts that the results of
//! the jobs before it have fed.

use rackcast_segment::id::Sequence;
use rackcast_segment::rate::Rate;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Limits};
use rackcast_segment::wire::job::JobSpec;
use rackcast_tests::rack::{Node, renditions};
use rackcast_tests::rates::{Accounts, encoder};

use crate::clip::Clip;

/// Times that a clip is played until its accounts know it.
const PASSES: usize = 3;

/// Plays the clip until its accounts know what its pictures demand, and leaves in its jobs what those were
/// told in the last pass: whoever sends these jobs again has a stream that is under way. Gives the bits of
/// video of each rendition in that pass.
pub(crate) async fn settle(node: &Node, clip: &mut Clip) -> Vec<u64> {
    let mut accounts = Accounts::default();
    let mut delivered = Vec::new();
    for pass in 0..PASSES {
        delivered = vec![0; clip.segments[0].job.spec.renditions.len()];
        let first = pass * clip.segments.len();
        for (number, segment) in clip.segments.iter_mut().enumerate() {
            let job = &mut segment.job;
            job.sequence = Sequence((first + number) as u64);
            accounts.ask(job);
            let answer = node.send(job, segment.body.clone()).await.unwrap();
            let by = encoder(&answer);
            assert!(by.is_some(), "the node was told a quality and says so");
            let made = renditions(answer.header("content-type"), answer.body.clone()).unwrap();
            for (name, media) in made {
                let mut all = job.spec.renditions.iter();
                let rung = all.position(|r| r.name == name).unwrap();
                let bits = bits_of(&media);
                delivered[rung] += bits;
                accounts.came(job.sequence, &name, bits, by.as_ref());
            }
        }
    }
    delivered
}

/// The quality that the node's x264 is told of a rung on average, on the scale of its CRF.
pub(crate) fn quality(clip: &Clip, rung: usize) -> f64 {
    let told = (0..clip.segments.len()).map(|segment| quality_of(clip, rung, segment));
    told.sum::<f64>() / clip.segments.len() as f64
}

/// The same of one segment.
pub(crate) fn quality_of(clip: &Clip, rung: usize, segment: usize) -> f64 {
    let encoder = "x264/veryfast".parse().unwrap();
    let spec = &clip.segments[segment].job.spec;
    f64::from(rate(spec, rung).quality(&encoder)) / 100.0
}

/// The most that a segment of this rung may have, in bits a second.
pub(crate) fn peak(clip: &Clip, rung: usize) -> f64 {
    f64::from(rate(&clip.segments[0].job.spec, rung).peak)
}

fn rate(spec: &JobSpec, rung: usize) -> &Rate {
    &spec.rates[&spec.renditions[rung].name]
}

/// The bits of video in MPEG-TS, of however many segments one after another.
pub(crate) fn bits_of(media: &[u8]) -> u64 {
    let read = ts::read(media, Timestamp(0), &Limits::default()).unwrap();
    let bytes: usize = read.video.iter().map(|unit| unit.data.len()).sum();
    bytes as u64 * 8
}
