//! Real encoders and a real reader: ffmpeg's streams are read as ffprobe reads them, and what
//! is written passes ffprobe without a word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use rackcast_segment::media::{AccessUnit, AudioFrame};
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Counters, Demuxed, Layout, Limits, Writer};
use rackcast_segment::{aac, h264};

fn ffmpeg(dir: &Path, args: &str, out: &str) -> Bytes {
    let path = dir.join(out);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(args.split_whitespace())
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg {args}");
    Bytes::from(std::fs::read(path).unwrap())
}

/// A packet as ffprobe sees it: PTS, DTS, key frame.
type Packet = (i64, i64, bool);

/// What ffprobe finds in one stream; fails if it says anything at all.
fn ffprobe(dir: &Path, ts: &[u8], stream: &str) -> Vec<Packet> {
    let path = dir.join("probe.ts");
    std::fs::write(&path, ts).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts,dts,flags"])
        .arg(&path)
        .output()
        .expect("ffprobe is installed");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let packet = |line: &str| {
        let mut fields = line.split(',');
        let mut number = || fields.next().unwrap().parse().unwrap();
        let (pts, dts) = (number(), number());
        (pts, dts, fields.next().unwrap().starts_with('K'))
    };
    text.lines()
        .filter(|line| !line.is_empty())
        .map(packet)
        .collect()
}

/// Decodes everything; returns whatever ffmpeg has to say, continuity errors included.
fn decode(dir: &Path, ts: &[u8]) -> String {
    let path = dir.join("decode.ts");
    std::fs::write(&path, ts).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "debug", "-xerror", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let bad = [
        "Continuity check failed",
        "corrupt",
        "non monoton",
        "Invalid",
        "error while",
    ];
    log.lines()
        .filter(|l| bad.iter().any(|b| l.contains(b)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read(ts: &[u8]) -> Demuxed {
    let read = ts::read(ts, Timestamp(0), &Limits::default()).unwrap();
    assert!(!read.damage.any(), "{:?}", read.damage);
    read
}

fn video_packets(video: &[AccessUnit]) -> Vec<Packet> {
    video
        .iter()
        .map(|au| (au.pts.0, au.dts.0, au.idr))
        .collect()
}

/// ffprobe counts on in its own way from the first frame of a unit: a tick of rounding.
fn same_audio(audio: &[AudioFrame], probed: &[Packet]) -> bool {
    let close = |(frame, packet): (&AudioFrame, &Packet)| (frame.pts.0 - packet.0).abs() <= 2;
    audio.len() == probed.len() && audio.iter().zip(probed).all(close)
}

const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100";

#[test]
fn every_unit_is_read_as_ffprobe_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            "-c:v libx264 -preset ultrafast -bf 3 -g 50",
            "b-frames, open timing",
        ),
        (
            "-c:v libx264 -preset veryfast -bf 3 -b-pyramid normal -g 48",
            "pyramid",
        ),
        (
            "-c:v libx264 -preset ultrafast -bf 2 -vf select='mod(n\\,7)*mod(n\\,11)' -vsync vfr",
            "VFR",
        ),
        (
            "-c:v libx264 -preset ultrafast -tune zerolatency -slices 4 -g 25",
            "slices",
        ),
    ];
    for (codec, what) in cases {
        let args = format!(
            "-f lavfi -i testsrc2=size=320x180:rate=25 {SOUND} -t 6 {codec} -c:a aac -b:a 96k"
        );
        let ts = ffmpeg(dir.path(), &args, "case.ts");
        let demuxed = read(&ts);
        assert_eq!(
            video_packets(&demuxed.video),
            ffprobe(dir.path(), &ts, "v"),
            "{what}"
        );
        assert!(
            same_audio(&demuxed.audio, &ffprobe(dir.path(), &ts, "a")),
            "{what}"
        );
        let config = demuxed.audio_config.unwrap();
        assert_eq!(
            (config.sample_rate, aac::codec_string(&config)),
            (44_100, "mp4a.40.2".into())
        );
        let (sps, pps) = h264::parameter_sets(&demuxed.video[0].data);
        let format = h264::parse_sps(sps.unwrap()).unwrap();
        assert_eq!(
            (format.width, format.height, pps.is_some()),
            (320, 180, true)
        );
        // Every byte of the picture: the elementary stream is what ffmpeg extracts.
        let annex_b = demuxed
            .video
            .iter()
            .flat_map(|au| h264::nal_units(&au.data));
        let plain = ffmpeg(
            dir.path(),
            &format!(
                "-i {} -map 0:v -c copy -f h264",
                dir.path().join("case.ts").display()
            ),
            "case.h264",
        );
        let expected = h264::nal_units(&plain).filter(|nal| nal[0] & 0x1f != 9);
        assert!(annex_b.eq(expected), "{what}");
    }
}

#[test]
fn segments_that_were_written_play_as_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    let args = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=30 {SOUND} -t 8 -c:v libx264 -preset veryfast \
         -bf 3 -g 60 -sc_threshold 0 -c:a aac -output_ts_offset 10"
    );
    let source = read(&ffmpeg(dir.path(), &args, "source.ts"));
    let config = source.audio_config.unwrap();

    let cuts: Vec<usize> = (0..source.video.len())
        .filter(|&i| source.video[i].idr)
        .collect();
    assert_eq!(cuts.len(), 4);
    let mut audio = source.audio.as_slice();
    let mut one = Writer::new(Layout {
        video: true,
        audio: true,
    });
    let mut counters = Counters::default();
    let (mut joined, mut unlike, mut restamped) = (Vec::new(), Vec::new(), Vec::new());
    for (i, &from) in cuts.iter().enumerate() {
        let to = cuts.get(i + 1).copied().unwrap_or(source.video.len());
        let end = source.video.get(to).map_or(i64::MAX, |au| au.pts.0);
        let (now, later) = audio.split_at(audio.partition_point(|f| f.pts.0 < end));
        audio = later;
        let (video, sound) = (&source.video[from..to], Some((&config, now)));

        let segment = one.segment(video, sound);
        assert_eq!(video_packets(video), ffprobe(dir.path(), &segment, "v"));
        assert!(same_audio(now, &ffprobe(dir.path(), &segment, "a")));
        joined.extend_from_slice(&segment);

        let mut own = Writer::new(Layout {
            video: true,
            audio: true,
        })
        .segment(video, sound)
        .to_vec();
        unlike.extend_from_slice(&own);
        ts::restamp(&mut own, &mut counters).unwrap();
        restamped.extend_from_slice(&own);
    }
    for stream in [&joined, &restamped] {
        assert_eq!(
            video_packets(&source.video),
            ffprobe(dir.path(), stream, "v")
        );
        assert_eq!(decode(dir.path(), stream), "");
    }
    assert_ne!(
        decode(dir.path(), &unlike),
        "",
        "the check sees a seam that was not mended"
    );
}
