//! The peers: ffmpeg in three ways, set as our encoders are.
//!
//! A node tells its x264 a quality and a limit, so ffmpeg tells its own the same two. The limit is the
//! node's. The quality is found by trying until each rung has as many bits as the node's: at equal bits
//! processor time and pictures can be compared. It is one for the whole clip; an ffmpeg for each segment
//! gets the node's steps from segment to segment on top of it.

use std::fmt;
use std::path::Path;
use std::process::Command;

use rackcast_segment::ladder::RenditionSpec;
use tempfile::TempDir;

use crate::clip::{Clip, GOP, RATE};
use crate::{processor, stream};

/// How near to the node's bits is as many, where time is compared: one in a hundred more costs less than
/// rounds differ.
pub(crate) const EQUAL: f64 = 0.01;
/// Where pictures are: one in a hundred more is worth some 0.04 dB.
pub(crate) const QUITE_EQUAL: f64 = 0.002;
/// Times that a quality is tried.
const TRIES: usize = 20;
/// Steps of quality that halve the bits, before two tries have shown it.
const HALVING: f64 = 4.5;
/// The node's buffer: seconds of the limit, of which so many are there at the start.
const BUFFER: (f64, f64) = (1.0, 0.9);

/// How ffmpeg makes a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// One process for the whole clip, each rung scaled from the one above it.
    Continuous,
    /// The same, a process for each segment.
    PerSegment,
    /// One process for the whole clip, each rung scaled from the source.
    FromSource,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Continuous, Self::PerSegment, Self::FromSource];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Continuous => "one continuous ffmpeg, cascade",
            Self::PerSegment => "an ffmpeg per segment, cascade",
            Self::FromSource => "one continuous ffmpeg, every scale from the source",
        }
    }
}

/// An ffmpeg that delivers as many bits as the node.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) way: Way,
    rungs: Vec<Rung>,
}

/// What its x264 is told of a rung, and what that gave.
#[derive(Clone)]
struct Rung {
    spec: RenditionSpec,
    crf: f64,
    /// Bits a second that fill the buffer.
    limit: f64,
    delivered: u64,
    /// The quality and the bits of the try before.
    before: Option<(f64, f64)>,
}

impl Peer {
    /// Tries qualities until each rung has as many bits as are `wanted`, or so `near` to it as a part, from
    /// those of another on.
    pub(crate) fn tuned(
        way: Way,
        clip: &Clip,
        wanted: &[u64],
        like: Option<&Self>,
        near: f64,
    ) -> Self {
        let specs = &clip.segments[0].job.spec.renditions;
        let seconds = f64::from(GOP);
        let begin = |(i, spec): (usize, &RenditionSpec)| Rung {
            spec: spec.clone(),
            crf: like.map_or_else(|| stream::quality(clip, i), |peer| peer.rungs[i].crf),
            limit: stream::peak(clip, i) * seconds / (seconds + BUFFER.0 * BUFFER.1),
            delivered: 0,
            before: None,
        };
        let mut peer = Self {
            way,
            rungs: specs.iter().enumerate().map(begin).collect(),
        };
        for _ in 0..TRIES {
            let folder = TempDir::new().unwrap();
            peer.run(clip, Some(folder.path()));
            let mut equal = true;
            for (i, (rung, wanted)) in peer.rungs.iter_mut().zip(wanted).enumerate() {
                let files = way.files(clip).map(|name| folder.path().join(name(i)));
                rung.delivered = files
                    .map(|file| stream::bits_of(&std::fs::read(file).unwrap()))
                    .sum();
                equal &= rung.is_equal(*wanted, near);
            }
            if equal {
                return peer;
            }
            for (rung, wanted) in peer.rungs.iter_mut().zip(wanted) {
                rung.approach(*wanted, near);
            }
        }
        panic!("{} never delivers {wanted:?}: {peer}", way.name());
    }

    /// Seconds of processor time for the whole clip. Renditions go to `folder`, if there is one, as
    /// `RUNG.ts` or `RUNG-SEGMENT.ts`.
    pub(crate) fn run(&self, clip: &Clip, folder: Option<&Path>) -> f64 {
        let before = processor::of_ended_children();
        let inputs: Vec<&Path> = match self.way {
            Way::PerSegment => clip.segments.iter().map(|s| s.file.as_path()).collect(),
            Way::Continuous | Way::FromSource => vec![&clip.file],
        };
        for (i, (input, name)) in inputs.into_iter().zip(self.way.files(clip)).enumerate() {
            let step = |rung| match self.way {
                Way::PerSegment => stream::quality_of(clip, rung, i) - stream::quality(clip, rung),
                Way::Continuous | Way::FromSource => 0.0,
            };
            self.transcode(input, folder, &name, &step);
        }
        processor::of_ended_children() - before
    }

    fn transcode(
        &self,
        file: &Path,
        folder: Option<&Path>,
        name: &dyn Fn(usize) -> String,
        step: &dyn Fn(usize) -> f64,
    ) {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-y", "-threads", "1", "-i"]);
        ffmpeg.arg(file).args(["-filter_complex_threads", "1"]);
        let specs: Vec<_> = self.rungs.iter().map(|rung| &rung.spec).collect();
        ffmpeg.args(["-filter_complex", &graph(self.way, &specs)]);
        for (i, rung) in self.rungs.iter().enumerate() {
            ffmpeg.args(["-map", &format!("[out{i}]"), "-c:v", "libx264"]);
            ffmpeg.args(["-preset", "veryfast", "-profile:v", "high", "-threads", "1"]);
            ffmpeg.args(["-crf", &format!("{:.3}", rung.crf + step(i))]);
            ffmpeg.args(["-maxrate", &format!("{:.0}", rung.limit)]);
            ffmpeg.args(["-bufsize", &format!("{:.0}", rung.limit * BUFFER.0)]);
            ffmpeg.args(["-x264-params", &settings(&rung.spec), "-f", "mpegts"]);
            match folder {
                Some(folder) => ffmpeg.arg(folder.join(name(i))),
                None => ffmpeg.arg("/dev/null"),
            };
        }
        let status = ffmpeg.status().expect("ffmpeg runs");
        assert!(status.success(), "{ffmpeg:?}");
    }

    /// Kilobits a second of a rung.
    pub(crate) fn kbits(&self, clip: &Clip, rung: usize) -> f64 {
        self.rungs[rung].delivered as f64 / clip.seconds() / 1000.0
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.way.name())?;
        for Rung {
            spec,
            crf,
            limit,
            delivered,
            ..
        } in &self.rungs
        {
            let (name, limit) = (&spec.name, limit / 1000.0);
            write!(
                f,
                "{name} crf {crf:.2} limit {limit:.0} kb/s: {delivered} bits; "
            )?;
        }
        Ok(())
    }
}

impl Rung {
    fn is_equal(&self, wanted: u64, near: f64) -> bool {
        (self.delivered as f64 / wanted as f64 - 1.0).abs() <= near
    }

    /// A quality that is nearer, by what the last two tries have shown.
    fn approach(&mut self, wanted: u64, near: f64) {
        let bits = (self.delivered.max(1) as f64).log2();
        let shown = self.before.and_then(|(crf, before)| {
            let halving = (self.crf - crf) / (before - bits);
            halving.is_finite().then_some(halving.clamp(1.0, 12.0))
        });
        self.before = Some((self.crf, bits));
        if !self.is_equal(wanted, near) {
            let excess = bits - (wanted as f64).log2();
            self.crf = (self.crf + excess * shown.unwrap_or(HALVING)).clamp(1.0, 50.0);
        }
    }
}

impl Way {
    /// How the files of each process are called, by rung.
    fn files(self, clip: &Clip) -> impl Iterator<Item = impl Fn(usize) -> String> {
        let (whole, count) = match self {
            Self::PerSegment => (false, clip.segments.len()),
            Self::Continuous | Self::FromSource => (true, 1),
        };
        (0..count).map(move |number| {
            move |rung| match whole {
                true => format!("{rung}.ts"),
                false => format!("{rung}-{number}.ts"),
            }
        })
    }
}

/// What the node tells its x264, but for keyframes: there a segment has one, here every two seconds.
fn settings(spec: &RenditionSpec) -> String {
    let gop = RATE * GOP;
    let level = format!("{}.{}", spec.level_idc / 10, spec.level_idc % 10);
    let full = BUFFER.1;
    format!(
        "scenecut=0:open-gop=0:bframes=3:b-pyramid=normal:level={level}:vbv-init={full}:keyint={gop}:\
         min-keyint={gop}"
    )
}

fn graph(way: Way, rungs: &[&RenditionSpec]) -> String {
    let size = |spec: &RenditionSpec| format!("scale={}:{}:flags=bicubic", spec.width, spec.height);
    let last = rungs.len() - 1;
    if way == Way::FromSource {
        let inputs: String = (0..=last).map(|i| format!("[in{i}]")).collect();
        let scales = rungs.iter().enumerate().map(|(i, spec)| match i {
            // Of the source's size already.
            0 => "[in0]null[out0]".to_owned(),
            _ => format!("[in{i}]{}[out{i}]", size(spec)),
        });
        let scales: Vec<_> = scales.collect();
        return format!("[0:v]split={}{inputs};{}", rungs.len(), scales.join(";"));
    }
    let steps = rungs.iter().enumerate().map(|(i, spec)| {
        let scaled = match i {
            0 => "[0:v]null".to_owned(),
            _ => format!("[down{i}]{}", size(spec)),
        };
        match i == last {
            true => format!("{scaled}[out{i}]"),
            false => format!("{scaled},split=2[out{i}][down{}]", i + 1),
        }
    });
    steps.collect::<Vec<_>>().join(";")
}
