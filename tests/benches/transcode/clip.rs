//! What is transcoded: three clips, each hard for another part of an encoder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Layout, Limits, Writer};
use rackcast_segment::wire::job::Job;
use rackcast_tests::job;
use rackcast_tests::process::target_dir;

/// The ladder of five for a source of 1080p.
pub(crate) const LADDER: &str = "1080p@5000k,720p@2800k,480p@1400k,360p@800k,240p@400k";
/// Pictures a second.
pub(crate) const RATE: u32 = 25;
/// Seconds between keyframes.
pub(crate) const GOP: u32 = 2;
/// Nothing is late here, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(60);
/// Seconds of a clip.
const SECONDS: u32 = 6;

/// Names, and how ffmpeg makes the pictures.
const CLIPS: [(&str, &str); 3] = [
    // Ever new detail, and grain.
    (
        "zoom",
        "mandelbrot=size=1920x1080:rate=25,noise=alls=8:allf=t",
    ),
    // One detailed picture in motion, as a camera that pans.
    (
        "pan",
        "mandelbrot=size=1920x1080:rate=25:start_scale=0.02:end_scale=0.02,\
         scroll=horizontal=0.004:vertical=0.001,noise=alls=3:allf=t",
    ),
    // Text and hard edges.
    ("pattern", "testsrc2=size=1920x1080:rate=25"),
];

/// A clip and its segments, as an ingest would cut it.
pub(crate) struct Clip {
    pub(crate) name: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) segments: Vec<Segment>,
}

/// One of them.
pub(crate) struct Segment {
    pub(crate) job: Job,
    pub(crate) units: Vec<AccessUnit>,
    pub(crate) body: Bytes,
    pub(crate) file: PathBuf,
}

impl Clip {
    /// All clips, or the one of this name; made at the first call on this machine.
    pub(crate) fn all(name: Option<&str>) -> Vec<Self> {
        let wanted = |clip: &&(&str, &str)| name.is_none_or(|name| clip.0 == name);
        let clips = CLIPS.iter().filter(wanted);
        clips
            .map(|(name, picture)| Self::of(name, picture))
            .collect()
    }

    fn of(name: &'static str, picture: &str) -> Self {
        let dir = target_dir().join("samples");
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join(format!("bench-{name}-1080p{RATE}-{SECONDS}s.ts"));
        if !file.exists() {
            make(picture, &file);
        }
        let demuxed = ts::read(
            &std::fs::read(&file).unwrap(),
            Timestamp(0),
            &Limits::default(),
        );
        let layout = Layout {
            video: true,
            audio: false,
        };
        let cut = job::cut(demuxed.unwrap().video);
        let segments = cut.into_iter().enumerate().map(|(number, units)| {
            let body = Writer::new(layout).segment(&units, None);
            let file = dir.join(format!("bench-{name}-{number}.ts"));
            std::fs::write(&file, &body).unwrap();
            let mut job = job::job(number, &units, body.len(), &LADDER.parse().unwrap());
            job.deadline = DEADLINE;
            Segment {
                job,
                units,
                body,
                file,
            }
        });
        let segments = segments.collect();
        Self {
            name,
            file,
            segments,
        }
    }

    /// Seconds of media.
    pub(crate) fn seconds(&self) -> f64 {
        f64::from(SECONDS)
    }
}

fn make(picture: &str, file: &Path) {
    let gop = (RATE * GOP).to_string();
    let beside = file.with_extension("part");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture,
    ]);
    ffmpeg.args(["-t", &SECONDS.to_string(), "-pix_fmt", "yuv420p"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M"]);
    ffmpeg.args(["-g", &gop, "-sc_threshold", "0", "-bf", "2"]);
    let made = ffmpeg.args(["-f", "mpegts"]).arg(&beside).status();
    assert!(made.expect("ffmpeg runs").success(), "{picture}");
    std::fs::rename(beside, file).unwrap();
}
