//! What comes out of a pipeline, whichever encoder made it and whichever job came before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use common::{Segment, decode, format_of, make, pipelines, segments, transcode};
use rackcast_segment::id::Sequence;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::rate::{Account, Policy};
use rackcast_segment::shape::Colour;
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts;
use rackcast_transcode::pipeline::{Encoder, Engine, PipelineError, Rendition};
use tokio_util::sync::CancellationToken;

fn times(units: &[AccessUnit]) -> Vec<Timestamp> {
    let mut times: Vec<_> = units.iter().map(|u| u.pts).collect();
    times.sort_unstable();
    times
}

/// Everything that must hold of one segment by itself.
fn check(s: &Segment, renditions: &[Rendition]) {
    assert_eq!(renditions.len(), s.job.renditions.len());
    let expected = times(&s.units);
    for (r, spec) in renditions.iter().zip(&s.job.renditions) {
        assert_eq!(r.name, spec.name);
        assert_eq!(times(&r.pictures), expected, "the source's times");
        for (i, (unit, pts)) in r.pictures.iter().zip(&expected).enumerate() {
            assert_eq!(unit.idr, i == 0, "one IDR, at the start");
            assert_eq!(unit.dts, *pts - s.job.shape.dts_offset);
            assert!(unit.dts <= unit.pts);
        }
        let format = format_of(&r.pictures[0].data);
        assert_eq!((format.width, format.height), (spec.width, spec.height));
        assert_eq!((format.profile_idc, format.constraints), spec.profile.idc());
        assert_eq!(format.level_idc, spec.level_idc);
        assert_eq!(format.colour, s.job.shape.colour);
        assert_eq!(format.sample_aspect, s.job.shape.sample_aspect);
    }
}

fn concatenated(parts: &[Vec<Rendition>], rung: usize) -> Vec<u8> {
    let mut writer = ts::Writer::new(ts::Layout {
        video: true,
        audio: false,
    });
    parts
        .iter()
        .flat_map(|p| writer.segment(&p[rung].pictures, None))
        .collect()
}

#[test]
fn two_pipelines_in_turn_make_one_stream() {
    let (mut a, mut b) = (pipelines(Encoder::X264), pipelines(Encoder::X264));
    let parts: Vec<_> = segments()
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let out = transcode(if i % 2 == 0 { &mut a } else { &mut b }, s).unwrap();
            check(s, &out);
            out
        })
        .collect();
    for rung in 0..2 {
        let (complaints, pictures) = decode(&concatenated(&parts, rung));
        assert_eq!((complaints.as_str(), pictures), ("", 240));
        let sps = |i: usize| parameter_sets(&parts[i][rung].pictures[0].data);
        assert!(
            (1..4).all(|i| sps(i) == sps(0)),
            "parameter sets are stable"
        );
    }
}

#[test]
fn unlike_encoders_in_turn_make_one_stream() {
    let (mut a, mut b) = (pipelines(Encoder::X264), pipelines(Encoder::Openh264));
    let parts: Vec<_> = segments()
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let out = transcode(if i % 2 == 0 { &mut a } else { &mut b }, s).unwrap();
            check(s, &out);
            out
        })
        .collect();
    for rung in 0..2 {
        let (complaints, pictures) = decode(&concatenated(&parts, rung));
        assert_eq!((complaints.as_str(), pictures), ("", 240));
    }
}

/// x264 itself is not the same to the byte from one run to the next on every processor, so what
/// a leftover would change is compared: times and kinds of pictures, parameter sets, and, as
/// rate control would carry it on, the amount of data.
fn assert_alike(again: &[Rendition], first: &[Rendition]) {
    let bytes = |r: &Rendition| r.pictures.iter().map(|u| u.data.len()).sum::<usize>() as f64;
    for (again, first) in again.iter().zip(first) {
        let frames = |r: &Rendition| -> Vec<_> {
            r.pictures.iter().map(|u| (u.pts, u.dts, u.idr)).collect()
        };
        assert_eq!(frames(again), frames(first), "{:?}", first.name);
        assert_eq!(
            parameter_sets(&again.pictures[0].data),
            parameter_sets(&first.pictures[0].data)
        );
        let ratio = bytes(again) / bytes(first);
        assert!((0.95..1.05).contains(&ratio), "{:?}: {ratio}", first.name);
    }
}

#[test]
fn a_job_leaves_nothing_behind_for_the_next() {
    for encoder in [Encoder::X264, Encoder::Openh264] {
        let (mut used, mut fresh) = (pipelines(encoder), pipelines(encoder));
        for s in &segments()[..3] {
            transcode(&mut used, s).unwrap();
        }
        let s = &segments()[3];
        let (again, first) = (
            transcode(&mut used, s).unwrap(),
            transcode(&mut fresh, s).unwrap(),
        );
        check(s, &again);
        assert_alike(&again, &first);
        if encoder == Encoder::Openh264 {
            assert_eq!(again, first);
        }
    }
}

/// Where a source does not say its colours, GStreamer takes large pictures to have others than small ones:
/// a rung of either kind must not bind the other, when a pipeline that is warm agrees on its formats anew.
#[test]
fn a_warm_pipeline_of_large_and_small_rungs_is_told_other_rates() {
    let source = ["testsrc2=size=1280x720:rate=25:duration=0.6"];
    let mut p = pipelines(Encoder::X264);
    for (n, mut s) in make(&source, &["-g", "5"], "720p@2M,360p@500k")
        .into_iter()
        .enumerate()
    {
        for spec in s.job.renditions.clone() {
            let mut account = Account::new(Policy::default(), &spec, s.job.source.frame_rate);
            let (mut rate, _) = account.ask(Sequence(n as u64), s.job.source.duration);
            rate.bitrate -= rate.bitrate / 10 * n as u32;
            s.job.rates.insert(spec.name, rate);
        }
        check(&s, &transcode(&mut p, &s).unwrap());
    }
}

#[test]
fn uneven_frame_times_survive() {
    // Every third picture is missing, and times are rounded to milliseconds as RTMP does.
    let mut s = segments()[0].clone();
    let even: Vec<_> = times(&s.units);
    for unit in &mut s.units {
        let n = even.iter().position(|t| *t == unit.pts).unwrap() as i64;
        unit.pts = Timestamp(900_000 + (n * 3_000 + (n / 3) * 3_000) / 90 * 90);
        unit.dts = unit.pts - Ticks(9_000);
    }
    let mut s = common::segment(&s.units, "180p@300k");
    s.job.shape.dts_offset = Ticks(12_000);
    check(&s, &transcode(&mut pipelines(Encoder::X264), &s).unwrap());
}

#[test]
fn colour_and_aspect_are_the_source_s() {
    let options = [
        "-vf",
        "setsar=4/3",
        "-color_primaries",
        "bt470bg",
        "-color_trc",
        "smpte170m",
        "-colorspace",
        "bt470bg",
        "-g",
        "60",
    ];
    let s = &make(
        &["testsrc2=size=180x320:rate=25:duration=1"],
        &options,
        "320p@300k,low:160@100k",
    )[0];
    assert_eq!(
        s.job.shape.colour,
        Colour {
            primaries: 5,
            transfer: 6,
            matrix: 5,
            full_range: false
        }
    );
    for encoder in [Encoder::X264, Encoder::Openh264] {
        check(s, &transcode(&mut pipelines(encoder), s).unwrap());
    }
}

#[test]
fn what_cannot_be_decoded_is_said_to_be_so_and_harms_no_later_job() {
    let mut p = pipelines(Encoder::X264);
    let good = &segments()[0];
    let mut zeros = good.clone();
    for unit in &mut zeros.units {
        unit.data = vec![0; unit.data.len()].into();
    }
    let mut cut = good.clone();
    cut.units.truncate(1);
    cut.units[0].data = cut.units[0].data.slice(..40);
    for bad in [zeros, cut] {
        let error = transcode(&mut p, &bad).unwrap_err();
        assert!(matches!(error, PipelineError::Undecodable(_)), "{error}");
        check(good, &transcode(&mut p, good).unwrap());
    }
}

#[test]
fn a_cancelled_job_ends_early_and_its_pipeline_serves_the_next() {
    let mut p = pipelines(Encoder::X264);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let s = &segments()[0];
    let error = p
        .transcode(&s.job, &s.units, &cancel, &mut |_| panic!("a result"))
        .unwrap_err();
    assert_eq!(error, PipelineError::Cancelled);
    check(s, &transcode(&mut p, s).unwrap());
}

fn parameter_sets(annex_b: &[u8]) -> Vec<&[u8]> {
    rackcast_segment::h264::nal_units(annex_b)
        .filter(|n| matches!(n[0] & 0x1f, 7 | 8))
        .collect()
}
