//! Source segments for tests, made by ffmpeg.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use bytes::Bytes;
use rackcast_segment::h264;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::{AccessUnit, Codec, VideoFormat};
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
    make_in(Codec::H264, lavfi, options, ladder)
}

pub(crate) fn make_in(
    codec: Codec,
    lavfi: &[&str],
    options: &[&str],
    ladder: &str,
) -> Vec<Segment> {
    let ts = ffmpeg(codec, lavfi, options);
    // A whole clip, of which a segment is a small part.
    let limits = ts::Limits {
        bytes: 1 << 30,
        ..ts::Limits::default()
    };
    let demuxed = ts::read(&ts, Timestamp(0), &limits).unwrap();
    assert_eq!(demuxed.codec, codec);
    let units = demuxed.video;
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
        .map(|w| segment_in(codec, &units[w[0]..w[1]], ladder))
        .collect()
}

pub(crate) fn segment(units: &[AccessUnit], ladder: &str) -> Segment {
    segment_in(Codec::H264, units, ladder)
}

fn segment_in(codec: Codec, units: &[AccessUnit], ladder: &str) -> Segment {
    let ts = ts_in(codec, units);
    let format = format_in(codec, &units[0].data);
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
    let mut shown: Vec<_> = units.iter().map(|u| u.pts).collect();
    shown.sort_unstable();
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
        last_half_pts: shown.into_iter().step_by(2).next_back(),
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
            rates: std::collections::BTreeMap::new(),
        },
    }
}

/// These pictures as MPEG-TS.
pub(crate) fn ts_of(units: &[AccessUnit]) -> Bytes {
    ts_in(Codec::H264, units)
}

pub(crate) fn ts_in(codec: Codec, units: &[AccessUnit]) -> Bytes {
    let layout = ts::Layout {
        video: true,
        audio: false,
    };
    ts::Writer::new(layout).of(codec).segment(units, None)
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
    format_in(Codec::H264, annex_b)
}

pub(crate) fn format_in(codec: Codec, annex_b: &[u8]) -> VideoFormat {
    let sps = h264::nal_units(annex_b).find(|n| codec.is_sps(n[0]));
    codec.parse_sps(sps.unwrap()).unwrap()
}

fn ffmpeg(codec: Codec, lavfi: &[&str], options: &[&str]) -> Bytes {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]);
    for input in lavfi {
        command.args(["-f", "lavfi", "-i", input]);
    }
    command.args([
        "-c:v",
        match codec {
            Codec::H264 => "libx264",
            Codec::Hevc => "libx265",
        },
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

/// How much a rendition is like its source behind a filter: 1 where nothing differs.
pub(crate) fn ssim(rendition: &[u8], source: &[u8], filter: &str) -> f64 {
    let lavfi = format!("[1:v]{filter},format=yuv420p[r];[0:v]format=yuv420p[o];[o][r]ssim");
    let said = judge(&[rendition, source], &["-lavfi", &lavfi]);
    let all = said.rsplit_once("All:").expect(&said).1;
    all.split_whitespace().next().unwrap().parse().unwrap()
}

/// By how much neighbouring lines differ, on average: nothing where pictures are the same from top to
/// bottom, much where their fields are of two moments.
pub(crate) fn between_lines(ts: &[u8], width: usize) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ts).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file.path())
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .unwrap();
    let lines: Vec<_> = output.stdout.chunks(width).collect();
    let pairs = lines
        .windows(2)
        .flat_map(|pair| pair[0].iter().zip(pair[1]));
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / output.stdout.len() as f64
}

/// What ffmpeg says at the end of looking at these.
fn judge(inputs: &[&[u8]], filter: &[&str]) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "info", "-nostats", "-nostdin"]);
    let files: Vec<_> = inputs
        .iter()
        .map(|bytes| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            file
        })
        .collect();
    for file in &files {
        command.arg("-i").arg(file.path());
    }
    let output = command.args(filter).args(["-f", "null", "-"]).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}
