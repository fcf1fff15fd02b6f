//! Source segments for tests, made by ffmpeg.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use bytes::Bytes;
use rackcast_segment::h264;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::{AccessUnit, VideoFormat};
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts;
use rackcast_segment::wire::job::{JobSpec, Source};

/// A segment as an ingest would send it.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) units: Vec<AccessUnit>,
    pub(crate) ts: Bytes,
    pub(crate) job: JobSpec,
}

/// 8 s of 320x180 at 30 frames a second with B-frames, cut every 2 s.
pub(crate) fn segments() -> &'static [Segment] {
    static SEGMENTS: LazyLock<Vec<Segment>> = LazyLock::new(|| {
        make(
            &["testsrc2=size=320x180:rate=30:duration=8"],
            &["-bf", "2", "-g", "60"],
            "180p@300k,low:90@100k",
        )
    });
    &SEGMENTS
}

/// Encodes a test picture, cuts it at its keyframes and asks for `ladder`.
pub(crate) fn make(lavfi: &[&str], options: &[&str], ladder: &str) -> Vec<Segment> {
    let ts = ffmpeg(lavfi, options);
    let units = ts::read(&ts, Timestamp(0), &ts::Limits::default())
        .unwrap()
        .video;
    let start = units[0].pts;
    let units: Vec<_> = units
        .into_iter()
        .map(|u| AccessUnit {
            pts: Timestamp(900_000) + (u.pts - start),
            dts: Timestamp(900_000) + (u.dts - start),
            ..u
        })
        .collect();
    let cuts: Vec<_> = (0..units.len())
        .filter(|i| units[*i].idr)
        .chain([units.len()])
        .collect();
    cuts.windows(2)
        .map(|w| segment(&units[w[0]..w[1]], ladder))
        .collect()
}

pub(crate) fn segment(units: &[AccessUnit], ladder: &str) -> Segment {
    let ts = ts_of(units);
    let format = format_of(&units[0].data);
    let first_pts = units.iter().map(|u| u.pts).min().unwrap();
    let last_pts = units.iter().map(|u| u.pts).max().unwrap();
    let frames = u32::try_from(units.len()).unwrap();
    let frame = (last_pts - first_pts).0 / i64::from(frames - 1).max(1);
    let duration = Ticks((last_pts - first_pts).0 + frame);
    let rate = Ratio::nominal_rate(f64::from(frames) / duration.seconds(), format.frame_rate);
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(2 * 3_600),
        colour: format.colour,
        sample_aspect: format.sample_aspect,
    };
    let renditions =
        ladder
            .parse::<Ladder>()
            .unwrap()
            .resolve(format.width, format.height, rate.as_f64());
    let source = Source {
        format,
        frames,
        frame_rate: rate,
        first_pts,
        last_pts,
        duration,
        bytes: ts.len() as u64,
    };
    Segment {
        units: units.to_vec(),
        ts,
        job: JobSpec {
            source,
            renditions,
            shape,
        },
    }
}

/// These pictures as MPEG-TS.
pub(crate) fn ts_of(units: &[AccessUnit]) -> Bytes {
    let layout = ts::Layout {
        video: true,
        audio: false,
    };
    ts::Writer::new(layout).segment(units, None)
}

/// Two seconds of another codec.
pub(crate) fn mpeg2() -> Bytes {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i"])
        .args([
            "testsrc2=size=320x180:rate=30:duration=2",
            "-c:v",
            "mpeg2video",
        ])
        .args(["-f", "mpegts", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout.into()
}

pub(crate) fn format_of(annex_b: &[u8]) -> VideoFormat {
    let sps = h264::nal_units(annex_b).find(|n| n[0] & 0x1f == 7).unwrap();
    h264::parse_sps(sps).unwrap()
}

fn ffmpeg(lavfi: &[&str], options: &[&str]) -> Bytes {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]);
    for input in lavfi {
        command.args(["-f", "lavfi", "-i", input]);
    }
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
    ]);
    command
        .args(["-sc_threshold", "0", "-threads", "1"])
        .args(options);
    let output = command
        .args(["-f", "mpegts", "-"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout.into()
}

/// What ffmpeg complains of when it decodes this, and how many pictures it gets.
pub(crate) fn decode(ts: &[u8]) -> (String, usize) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ts).unwrap();
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "warning",
            "-nostdin",
            "-xerror",
            "-err_detect",
            "explode",
            "-i",
        ])
        .arg(file.path())
        .args(["-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let pictures = String::from_utf8_lossy(&output.stdout);
    let count = pictures.lines().filter(|l| !l.starts_with('#')).count();
    (String::from_utf8_lossy(&output.stderr).into_owned(), count)
}
