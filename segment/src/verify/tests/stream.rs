//! What is wrong with the stream around the pictures, or hidden in it.

use super::*;
use crate::media::{AudioConfig, AudioFrame};
use crate::ts::{PACKET, TsError};

fn right() -> Vec<u8> {
    let layout = Layout {
        video: true,
        audio: false,
    };
    Writer::new(layout).segment(&answer(), None).to_vec()
}

fn judge(ts: &[u8]) -> Result<Verified, Defect> {
    let Question {
        spec,
        source,
        shape,
    } = question();
    let expect = Expectation {
        spec: &spec,
        source: &source,
        shape: &shape,
    };
    verify(ts, &expect)
}

#[test]
fn what_is_not_looked_at_is_not_let_through() {
    assert!(judge(&right()).is_ok());
    // A packet of another stream, whether a table names it or not.
    let mut sound = [0xff; PACKET];
    sound[..8].copy_from_slice(&[0x47, 0x41, 0x05, 0x10, 0, 0, 1, 0xc0]);
    let both = [&right()[..], &sound].concat();
    assert_eq!(judge(&both), Err(Defect::Foreign(1)));
    let mut stuffing = [0xff; PACKET];
    stuffing[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    assert!(judge(&[&right()[..], &stuffing].concat()).is_ok());
}

#[test]
fn a_later_sps_is_the_first_one_again() {
    let with = |frame: usize, sps: &[u8]| {
        let mut video = answer();
        let data = [&START, sps, &video[frame].data[..]].concat();
        video[frame].data = data.into();
        check(&video, &question())
    };
    assert!(with(3, &SPS).is_ok());
    let mut other = SPS;
    other[3] = 40;
    assert_eq!(with(3, &other), Err(Defect::OtherParameterSet(3)));
    let mut behind = answer();
    behind[0].data = [&behind[0].data[..], &START, &other].concat().into();
    assert_eq!(
        check(&behind, &question()),
        Err(Defect::OtherParameterSet(0))
    );
}

#[test]
fn wrong_stream() {
    let Question {
        spec,
        source,
        shape,
    } = question();
    let expect = Expectation {
        spec: &spec,
        source: &source,
        shape: &shape,
    };
    assert_eq!(
        verify(&[], &expect),
        Err(Defect::Unreadable(TsError::NoSync))
    );
    let limit = 800_000 * (21_000 + 90_000) / (8 * 90_000) * 4 + (1 << 16);
    let huge = vec![0x47; limit + 1];
    let (limit, got) = (limit as u64, limit as u64 + 1);
    assert_eq!(verify(&huge, &expect), Err(Defect::TooLarge { limit, got }));

    let ts = Writer::new(Layout {
        video: true,
        audio: false,
    })
    .segment(&answer(), None);
    let cut = [&ts[..4 * 188], &ts[5 * 188..]].concat();
    assert!(matches!(verify(&cut, &expect), Err(Defect::Damaged(d)) if d.gaps == 1));

    let asc = Bytes::from_static(&[0x12, 0x10]);
    let config = AudioConfig {
        asc,
        object_type: 2,
        sample_rate: 44_100,
        channels: 2,
    };
    let sound = [AudioFrame {
        pts: Timestamp(900_000),
        data: Bytes::from_static(&[1]),
    }];
    let mut writer = Writer::new(Layout {
        video: true,
        audio: true,
    });
    let ts = writer.segment(&answer(), Some((&config, &sound)));
    assert_eq!(verify(&ts, &expect), Err(Defect::Audio(1)));
}
