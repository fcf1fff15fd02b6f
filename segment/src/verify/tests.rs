#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod stream;

use bytes::Bytes;

use super::*;
use crate::h264::parse_sps;
use crate::media::Codec;
use crate::shape::Profile;
use crate::shape::{Colour, Ratio};
use crate::time::Ticks;
use crate::ts::{Layout, Writer};

const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3,
    0, 0x3c, 0x0f, 0x18, 0x31, 0x96,
];
const START: [u8; 4] = [0, 0, 0, 1];
const OFFSET: Ticks = Ticks(6_000);

struct Question {
    spec: RenditionSpec,
    source: Source,
    shape: Shape,
}

fn question() -> Question {
    let format = parse_sps(&SPS).unwrap();
    let spec = RenditionSpec {
        name: "360p".parse().unwrap(),
        width: 640,
        height: 360,
        bitrate: 800_000,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    };
    let source = Source {
        format,
        frames: 7,
        frame_rate: Ratio::new(30, 1).unwrap(),
        first_pts: Timestamp(900_000),
        last_pts: Timestamp(918_000),
        last_half_pts: None,
        duration: Ticks(21_000),
        bytes: 10_000,
    };
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: OFFSET,
        colour: Colour::default(),
        sample_aspect: Ratio::ONE,
    };
    Question {
        spec,
        source,
        shape,
    }
}

fn answer() -> Vec<AccessUnit> {
    let order = [0, 3, 1, 2, 6, 4, 5];
    let pts: Vec<_> = order
        .iter()
        .map(|i| Timestamp(900_000 + i * 3_000))
        .collect();
    let dts = assign_dts(&pts, OFFSET);
    let units = pts.iter().zip(dts).enumerate();
    units
        .map(|(i, (&pts, dts))| {
            let idr = i == 0;
            let sets = [&START[..], &SPS, &START, &[0x68, 0xeb, 0xe3]].concat();
            let slice = [&START[..], &[if idr { 0x65 } else { 0x41 }, 0x88, 0x84]].concat();
            let data = if idr { [sets, slice].concat() } else { slice };
            AccessUnit {
                pts,
                dts,
                idr,
                data: Bytes::from(data),
            }
        })
        .collect()
}

fn check(video: &[AccessUnit], question: &Question) -> Result<Verified, Defect> {
    let ts = Writer::new(Layout {
        video: true,
        audio: false,
    })
    .segment(video, None);
    let Question {
        spec,
        source,
        shape,
    } = question;
    verify(
        &ts,
        &Expectation {
            spec,
            source,
            shape,
        },
    )
}

/// The defect of an answer that was changed so.
fn defect(change: impl FnOnce(&mut Vec<AccessUnit>, &mut Question)) -> Defect {
    let (mut video, mut question) = (answer(), question());
    change(&mut video, &mut question);
    check(&video, &question).unwrap_err()
}

#[test]
fn the_right_answer() {
    let verified = check(&answer(), &question()).unwrap();
    assert_eq!(verified.frames, 7);
    assert_eq!(verified.format.width, 640);
}

/// Every second picture of the source, which has seven, or six.
#[test]
fn half_the_rate() {
    let half = |frames: u32, last: i64| {
        let mut question = question();
        question.spec.half_rate = true;
        question.source.frames = frames;
        question.source.last_half_pts = Some(Timestamp(last));
        let sets = answer()[0].data.clone();
        let pts: Vec<_> = (0..frames.div_ceil(2))
            .map(|i| Timestamp(900_000 + i64::from(i) * 6_000))
            .collect();
        let units = pts.iter().zip(assign_dts(&pts, OFFSET));
        let units = units.enumerate().map(|(i, (&pts, dts))| AccessUnit {
            pts,
            dts,
            idr: i == 0,
            data: if i == 0 {
                sets.clone()
            } else {
                answer()[1].data.clone()
            },
        });
        check(&units.collect::<Vec<_>>(), &question)
    };
    assert_eq!(half(7, 918_000).unwrap().frames, 4);
    assert_eq!(half(6, 912_000).unwrap().frames, 3);
    let (expected, got) = (Timestamp(915_000), Timestamp(912_000));
    assert_eq!(half(6, 915_000), Err(Defect::LastPts { expected, got }));
    let all = defect(|_, q| q.spec.half_rate = true);
    assert_eq!(
        all,
        Defect::Frames {
            expected: 4,
            got: 7
        }
    );
}

#[test]
fn wrong_pictures() {
    let frames = Defect::Frames {
        expected: 7,
        got: 6,
    };
    assert_eq!(defect(|v, _| drop(v.pop())), frames);
    let start = Bytes::from_static(&[0, 0, 0, 1, 6, 5, 0x80]);
    assert_eq!(defect(|v, _| v[3].data = start), Defect::Empty(3));
    let idr = answer()[0].data.clone();
    assert_eq!(defect(|v, _| v[0].data = v[1].data.clone()), Defect::NotIdr);
    assert_eq!(
        defect(|v, _| v[0].data = idr.slice(30..)),
        Defect::NoParameterSet("SPS")
    );
    let without_pps = Bytes::from([&idr[..30], &idr[37..]].concat());
    assert_eq!(
        defect(|v, _| v[0].data = without_pps),
        Defect::NoParameterSet("PPS")
    );
}

#[test]
fn wrong_codec() {
    let hevc = defect(|_, q| q.spec = q.spec.clone().in_hevc(q.source.frame_rate));
    let (expected, got) = (Codec::Hevc, Codec::H264);
    assert_eq!(hevc, Defect::Stream { expected, got });
}

#[test]
fn wrong_format() {
    let size = Defect::Size {
        expected: (640, 480),
        got: (640, 360),
    };
    assert_eq!(defect(|_, q| q.spec.height = 480), size);
    let codec = |expected: &str| Defect::Codec {
        expected: expected.to_owned(),
        got: "avc1.64001f".to_owned(),
    };
    assert_eq!(
        defect(|_, q| q.spec.profile = Profile::Main),
        codec("avc1.4d401f")
    );
    assert_eq!(defect(|_, q| q.spec.level_idc = 30), codec("avc1.64001e"));
    let (expected, got) = (
        Colour {
            matrix: 1,
            ..Colour::default()
        },
        Colour::default(),
    );
    assert_eq!(
        defect(|_, q| q.shape.colour = expected),
        Defect::Colour { expected, got }
    );
    let wide = Ratio::new(4, 3).unwrap();
    let aspect = Defect::SampleAspect {
        expected: wide,
        got: Ratio::ONE,
    };
    assert_eq!(defect(|_, q| q.shape.sample_aspect = wide), aspect);
}

#[test]
fn wrong_times() {
    let (expected, got) = (Timestamp(899_999), Timestamp(900_000));
    assert_eq!(
        defect(|_, q| q.source.first_pts = expected),
        Defect::FirstPts { expected, got }
    );
    let (expected, got) = (Timestamp(918_001), Timestamp(918_000));
    assert_eq!(
        defect(|_, q| q.source.last_pts = expected),
        Defect::LastPts { expected, got }
    );
    assert_eq!(
        defect(|_, q| q.shape.reorder_depth = 0),
        Defect::Reorder {
            expected: 0,
            got: 1
        }
    );
    let (expected, got) = (Timestamp(900_000), Timestamp(900_001));
    assert_eq!(
        defect(|v, _| v[2].dts = got),
        Defect::Dts {
            frame: 2,
            expected,
            got
        }
    );
}
