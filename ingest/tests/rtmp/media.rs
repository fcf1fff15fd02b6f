//! From FLV tags to access units and audio frames.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rackcast_ingest::rtmp::clock::ORIGIN;
use rackcast_ingest::rtmp::media::{Media, MediaError, Notice, Output};
use rackcast_segment::media::{AccessUnit, AudioFrame, MediaEvent, VideoConfig};
use rackcast_segment::time::Ticks;

use crate::support::{
    AVC_320X180, AVC_640X360, aac_config, aac_frame, avc_config, avc_picture, avc_units, hex,
};

/// What becomes of a publisher's tags.
pub(crate) struct Publisher {
    media: Media,
    out: VecDeque<Output>,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let media = Media::new(100_000, Duration::from_secs(30));
        Self {
            media,
            out: VecDeque::new(),
        }
    }

    pub(crate) fn video(
        &mut self,
        timestamp: u32,
        tag: impl Into<Bytes>,
    ) -> Result<(), MediaError> {
        self.media.video(timestamp, &tag.into(), &mut self.out)
    }

    pub(crate) fn audio(
        &mut self,
        timestamp: u32,
        tag: impl Into<Bytes>,
    ) -> Result<(), MediaError> {
        self.media.audio(timestamp, &tag.into(), &mut self.out)
    }

    pub(crate) fn notices(&self) -> Vec<Notice> {
        let notice = |o: &Output| match o {
            Output::Notice(notice) => Some(notice.clone()),
            Output::Media(_) => None,
        };
        self.out.iter().filter_map(notice).collect()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &MediaEvent> {
        self.out.iter().filter_map(|o| match o {
            Output::Media(event) => Some(event),
            Output::Notice(_) => None,
        })
    }

    pub(crate) fn pictures<'a>(&'a self) -> Vec<&'a AccessUnit> {
        let picture = |e: &'a MediaEvent| {
            if let MediaEvent::Video(p) = e {
                Some(p)
            } else {
                None
            }
        };
        self.events().filter_map(picture).collect()
    }

    pub(crate) fn frames<'a>(&'a self) -> Vec<&'a AudioFrame> {
        let frame = |e: &'a MediaEvent| {
            if let MediaEvent::Audio(f) = e {
                Some(f)
            } else {
                None
            }
        };
        self.events().filter_map(frame).collect()
    }

    pub(crate) fn video_configs<'a>(&'a self) -> Vec<&'a VideoConfig> {
        let config = |e: &'a MediaEvent| {
            if let MediaEvent::VideoConfig(c) = e {
                Some(c)
            } else {
                None
            }
        };
        self.events().filter_map(config).collect()
    }
}

/// SPS and PPS of a record with one of each.
pub(crate) fn sets(record: &str) -> (Vec<u8>, Vec<u8>) {
    let record = hex(record);
    let length = usize::from(u16::from_be_bytes([record[6], record[7]]));
    (
        record[8..8 + length].to_vec(),
        record[8 + length + 3..].to_vec(),
    )
}

#[test]
fn pictures_become_annex_b_with_parameter_sets_before_an_idr() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    p.video(0, avc_picture(true, 80)).unwrap();
    p.video(40, avc_picture(false, 0)).unwrap();
    let format = &p.video_configs()[0].format;
    assert_eq!((format.width, format.height), (640, 360));
    let pictures = p.pictures();
    let (sps, pps) = sets(AVC_640X360);
    let start = &[0, 0, 0, 1][..];
    let idr = &[0x65, 0x88, 0x84, 0x21][..];
    assert_eq!(
        pictures[0].data,
        [start, &sps, start, &pps, start, idr].concat()
    );
    assert!(pictures[0].idr && !pictures[1].idr);
    assert_eq!(
        (pictures[0].dts, pictures[0].pts),
        (ORIGIN, ORIGIN + Ticks::from_millis(80))
    );
    assert_eq!(pictures[1].data[..5], [0, 0, 0, 1, 0x41]);
    assert_eq!(pictures[1].dts, ORIGIN + Ticks::from_millis(40));
}

#[test]
fn video_before_its_header_is_dropped() {
    let mut p = Publisher::new();
    p.video(0, avc_picture(true, 0)).unwrap();
    p.audio(0, aac_frame()).unwrap();
    assert_eq!(p.events().count(), 0);
    assert_eq!(
        p.notices(),
        [Notice::VideoBeforeConfig, Notice::AudioBeforeConfig]
    );
    p.video(40, avc_config(AVC_640X360)).unwrap();
    p.video(40, avc_picture(true, 0)).unwrap();
    assert_eq!(
        p.pictures()[0].dts,
        ORIGIN,
        "what was dropped sets no clock"
    );
}

#[test]
fn an_empty_sps_is_refused() {
    let mut p = Publisher::new();
    for record in [
        "0142c01effe1000001000468ce0fc8",
        "0142c01effe0",
        "0142c01effe100016701",
    ] {
        let error = p.video(0, avc_config(record)).unwrap_err();
        assert!(matches!(error, MediaError::Video(_)), "{record}: {error}");
    }
}

#[test]
fn a_change_of_resolution_is_a_new_configuration() {
    let mut p = Publisher::new();
    for (t, record) in [(0, AVC_640X360), (40, AVC_640X360), (80, AVC_320X180)] {
        p.video(t, avc_config(record)).unwrap();
        p.video(t, avc_picture(true, 0)).unwrap();
    }
    let heights: Vec<_> = p.video_configs().iter().map(|c| c.format.height).collect();
    assert_eq!(heights, [360, 180], "one that repeats itself is no change");
}

#[test]
fn a_change_of_resolution_in_band_is_a_new_configuration() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    p.video(0, avc_picture(true, 0)).unwrap();
    let (sps, pps) = sets(AVC_320X180);
    p.video(40, avc_units(true, 0, &[&sps, &pps, &[0x65, 0x88]]))
        .unwrap();
    p.video(80, avc_units(true, 0, &[&[0x67, 0x42], &[0x65, 0x88]]))
        .unwrap();
    let heights: Vec<_> = p.video_configs().iter().map(|c| c.format.height).collect();
    assert_eq!(heights, [360, 180]);
    assert!(
        matches!(p.notices()[..], [Notice::Malformed(_)]),
        "an SPS that cannot be read"
    );
}

#[test]
fn a_change_of_codec_is_refused_by_name() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    for (tag, name) in [
        (&[0x90, b'h', b'v', b'c', b'1'][..], "HEVC"),
        (&[0x90, b'a', b'v', b'0', b'1'], "AV1"),
        (&[0x90, b'v', b'p', b'0', b'9'], "VP9"),
        (&[0x90, b'a', b'b', 0, 0xff], "ab\\x00\\xff"),
        (&[0x96, 0, 0, 0, 0], "multitrack"),
        (&[0x97, 0, 0, 0, 0], "ModEx"),
        (&[0x1c, 0], "HEVC"),
        (&[0x12, 0], "Sorenson"),
        (&[0x14, 0], "VP6"),
    ] {
        let error = p.video(0, tag.to_vec()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("H.264"), "{error}");
    }
    for (tag, name) in [
        (&[0x2f, 0][..], "MP3"),
        (&[0x90, b'O', b'p', b'u', b's'], "Opus"),
        (&[0x90, b'f', b'L', b'a', b'C'], "FLAC"),
        (&[0x95, 0, 0, 0, 0], "multitrack"),
        (&[0xb2, 0], "Speex"),
        (&[0x72, 0], "G.711"),
    ] {
        let error = p.audio(0, tag.to_vec()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("AAC"), "{error}");
    }
}

#[test]
fn h264_and_aac_in_enhanced_form_are_taken() {
    let mut p = Publisher::new();
    let avc1 = |packet: u8, rest: &[u8]| [&[0x90 | packet][..], b"avc1", rest].concat();
    p.video(0, avc1(0, &hex(AVC_640X360))).unwrap();
    p.video(0, avc1(1, &[0, 0, 40, 0, 0, 0, 2, 0x65, 0x88]))
        .unwrap();
    p.video(40, avc1(3, &[0, 0, 0, 2, 0x41, 0x9a])).unwrap();
    p.video(80, avc1(2, &[])).unwrap();
    let mp4a = |packet: u8, rest: &[u8]| [&[0x90 | packet][..], b"mp4a", rest].concat();
    p.audio(0, mp4a(0, &[0x12, 0x10])).unwrap();
    p.audio(0, mp4a(1, &[0x21, 0x10])).unwrap();
    assert_eq!((p.pictures().len(), p.frames().len()), (2, 1));
    assert_eq!(
        p.pictures()[0].pts - p.pictures()[0].dts,
        Ticks::from_millis(40)
    );
    assert_eq!(p.notices(), []);
}

#[test]
fn malformed_tags_are_dropped_and_the_publication_goes_on() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    for tag in [
        &[0x17][..],
        &[0x17, 1, 0],
        &[0x17, 1, 0, 0, 0, 0, 0, 0, 9, 1], // a NAL unit cut short
        &[0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x65], // a false length
        &[0x17, 1, 0x7f, 0xff, 0xff, 0, 0, 0, 1, 0x65], // shown in two hours
    ] {
        p.video(0, tag.to_vec()).unwrap();
    }
    assert_eq!(p.notices().len(), 5);
    assert!(
        p.notices()
            .iter()
            .all(|n| matches!(n, Notice::Malformed(_)))
    );
    // Nothing to show: an empty tag, a command, the end of the sequence, and only SEI.
    for tag in [
        &[][..],
        &[0x57, 0],
        &[0x17, 2, 0, 0, 0],
        &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 6],
    ] {
        p.video(0, tag.to_vec()).unwrap();
    }
    assert_eq!((p.pictures().len(), p.notices().len()), (0, 5));
    p.video(0, avc_picture(true, 0)).unwrap();
    assert_eq!(p.pictures().len(), 1);
}

#[test]
fn colliding_and_backward_timestamps_still_grow() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    for t in [1000, 1000, 999, 1000, 1033, 1020, 1066, 50, 90] {
        p.video(t, avc_picture(false, 0)).unwrap();
    }
    let pictures = p.pictures();
    assert_eq!(pictures.len(), 9);
    assert!(pictures.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(pictures.iter().all(|p| p.pts >= p.dts));
    assert_eq!(pictures[4].dts, ORIGIN + Ticks::from_millis(33));
    assert!(matches!(
        p.notices()[..],
        [Notice::ClockStep { track: "video", .. }]
    ));
    assert_eq!(pictures[8].dts - pictures[7].dts, Ticks::from_millis(40));
}

#[test]
fn negative_composition_times_shift_all_pictures() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    p.video(0, avc_picture(true, 0)).unwrap();
    for (t, composition) in [(40, 80), (80, -40), (120, -40), (160, 80)] {
        p.video(t, avc_picture(false, composition)).unwrap();
    }
    let shown: Vec<_> = p
        .pictures()
        .iter()
        .map(|p| (p.pts - ORIGIN).0 / 90)
        .collect();
    assert_eq!(shown, [0, 120, 80, 120, 280]);
    assert!(p.pictures().iter().all(|p| p.pts >= p.dts));
    assert_eq!(p.notices(), [Notice::Shifted(Ticks::from_millis(40))]);
}

#[test]
fn audio_only() {
    let mut p = Publisher::new();
    p.audio(0, aac_config()).unwrap();
    for n in 0..100u32 {
        p.audio(n * 1024 * 1000 / 44_100, aac_frame()).unwrap();
    }
    let frames = p.frames();
    assert_eq!(frames.len(), 100);
    assert_eq!(
        frames[99].pts - frames[0].pts,
        Ticks(99 * 1024 * 90_000 / 44_100)
    );
    assert_eq!(frames[0].data, &[0x21, 0x10, 0x04][..]);
    assert_eq!(p.notices(), []);
}

#[test]
fn a_changed_audio_configuration_is_told_once_and_an_empty_one_is_refused() {
    let mut p = Publisher::new();
    p.audio(0, aac_config()).unwrap();
    p.audio(0, aac_config()).unwrap();
    p.audio(100, vec![0xaf, 0, 0x11, 0x90]).unwrap(); // 48000
    p.audio(100, aac_frame()).unwrap();
    assert_eq!(
        p.events()
            .filter(|e| matches!(e, MediaEvent::AudioConfig(_)))
            .count(),
        2
    );
}

#[test]
fn video_of_varying_rate_keeps_its_times() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    let times = [0, 17, 33, 50, 1050, 1067, 6067];
    for t in times {
        p.video(t, avc_picture(false, 0)).unwrap();
    }
    let got: Vec<_> = p
        .pictures()
        .iter()
        .map(|p| (p.dts - ORIGIN).0 / 90)
        .collect();
    assert_eq!(got, times.map(i64::from));
}
