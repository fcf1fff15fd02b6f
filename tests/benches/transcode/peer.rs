//! The peers: ffmpeg in three ways, set as our encoders are.

use std::path::Path;
use std::process::Command;

use rackcast_segment::ladder::RenditionSpec;

use crate::clip::{Clip, GOP, RATE};
use crate::processor;

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

    /// Seconds of processor time for the whole clip. Renditions go to `folder`, if there is one, as
    /// `RUNG.ts` or `RUNG-SEGMENT.ts`.
    pub(crate) fn run(self, clip: &Clip, rungs: &[RenditionSpec], folder: Option<&Path>) -> f64 {
        let before = processor::of_ended_children();
        match self {
            Self::PerSegment => {
                for (number, segment) in clip.segments.iter().enumerate() {
                    let name = |rung: usize| format!("{rung}-{number}.ts");
                    transcode(self, &segment.file, rungs, folder, &name);
                }
            }
            Self::Continuous | Self::FromSource => {
                let name = |rung: usize| format!("{rung}.ts");
                transcode(self, &clip.file, rungs, folder, &name);
            }
        }
        processor::of_ended_children() - before
    }
}

fn transcode(
    way: Way,
    file: &Path,
    rungs: &[RenditionSpec],
    folder: Option<&Path>,
    name: &dyn Fn(usize) -> String,
) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y", "-threads", "1", "-i"]);
    ffmpeg.arg(file).args(["-filter_complex_threads", "1"]);
    ffmpeg.args(["-filter_complex", &graph(way, rungs)]);
    for (i, spec) in rungs.iter().enumerate() {
        ffmpeg.args(["-map", &format!("[out{i}]"), "-c:v", "libx264"]);
        ffmpeg.args(["-preset", "veryfast", "-profile:v", "high", "-threads", "1"]);
        let kbits = format!("{}k", spec.bitrate / 1000);
        for option in ["-b:v", "-maxrate", "-bufsize"] {
            ffmpeg.args([option, &kbits]);
        }
        ffmpeg.args(["-x264-params", &settings(spec), "-f", "mpegts"]);
        match folder {
            Some(folder) => ffmpeg.arg(folder.join(name(i))),
            None => ffmpeg.arg("/dev/null"),
        };
    }
    let status = ffmpeg.status().expect("ffmpeg runs");
    assert!(status.success(), "{ffmpeg:?}");
}

/// What the node tells its x264, but for keyframes: there a segment has one, here every two seconds.
fn settings(spec: &RenditionSpec) -> String {
    let gop = RATE * GOP;
    let level = format!("{}.{}", spec.level_idc / 10, spec.level_idc % 10);
    let full = match spec.height {
        0..=300 => 0.8,
        301..=420 => 0.7,
        421..=600 => 0.6,
        _ => 0.5,
    };
    format!(
        "scenecut=0:open-gop=0:bframes=3:b-pyramid=strict:level={level}:vbv-init={full}:keyint={gop}:\
         min-keyint={gop}"
    )
}

fn graph(way: Way, rungs: &[RenditionSpec]) -> String {
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
