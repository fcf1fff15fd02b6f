//! Fuzz targets of everything that reads what a peer sent. As plain tests they run the corpus
//! and a few thousand inputs; `cargo bolero test -p rackcast-segment NAME` searches on.
//!
//! Random bytes seldom get past a sync byte, so an input is also taken as a list of changes to
//! a valid one: three bytes each, a place and a value.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{audio_config, sample};
use rackcast_segment::media::Codec;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{Counters, Layout, Limits, Writer, read, restamp};
use rackcast_segment::wire::multipart::{
    self, Part, PartHead, Reader, content_type, encode_rendition,
};
use rackcast_segment::{aac, h264, h265};

/// `valid` with the changes that `script` says.
fn changed(valid: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for change in script.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

fn segment() -> Bytes {
    let (video, audio) = sample(900_000);
    let mut writer = Writer::new(Layout {
        video: true,
        audio: true,
    });
    writer.segment(&video[..12], Some((&audio_config(), &audio[..24])))
}

#[test]
fn ts_read() {
    let valid = segment();
    let limits = Limits {
        bytes: 1 << 20,
        access_unit: 20_000,
        units: 100,
    };
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), changed(&valid, input)] {
            if let Ok(read) = read(&bytes, Timestamp(900_000), &limits) {
                let payload: usize = read.video.iter().map(|au| au.data.len()).sum();
                assert!(payload <= bytes.len());
                assert!(read.video.iter().all(|au| au.dts.0 >= 0 && au.pts.0 >= 0));
            }
        }
    });
}

#[test]
fn ts_restamp() {
    let valid = segment();
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), changed(&valid, input)] {
            let mut counters = Counters::default();
            let mut stamped = bytes.clone();
            if restamp(&mut stamped, &mut counters).is_ok() {
                restamp(&mut stamped, &mut counters).unwrap();
            }
            assert_eq!(stamped.len(), bytes.len());
        }
    });
}

#[test]
fn multipart_reader() {
    let head = PartHead {
        rendition: "720p".parse().unwrap(),
        chunk: 0,
        last: true,
    };
    let valid = [
        &encode_rendition(&head, 40)[..],
        &[7; 40],
        b"\r\n--rackcast-8e1f9b2c4d7a--\r\n",
    ];
    let valid = valid.concat();
    let limits = multipart::Limits {
        max_part: 1000,
        max_parts: 4,
        max_head: 500,
    };
    bolero::check!().for_each(|input: &[u8]| {
        let step = usize::from(input.first().copied().unwrap_or(1)).max(1);
        for bytes in [input.to_vec(), changed(&valid, input)] {
            let mut reader = Reader::new(&content_type(), limits).unwrap();
            for piece in bytes.chunks(step) {
                reader.push(Bytes::copy_from_slice(piece));
                while let Ok(Some(part)) = reader.next() {
                    if let Part::Rendition { body, .. } = part {
                        assert!(body.len() <= 1000);
                    }
                }
            }
            let _ = reader.finish();
        }
    });
}

const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3,
    0, 0x3c, 0x0f, 0x18, 0x31, 0x96,
];

#[test]
fn parse_sps() {
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), changed(&SPS, input)] {
            if let Ok(format) = h264::parse_sps(&bytes) {
                let fits = 1..=h264::MAX_DIMENSION;
                assert!(fits.contains(&format.width) && fits.contains(&format.height));
            }
            if let Ok(format) = h264::check_sps(&bytes) {
                assert_eq!(
                    Ok(format),
                    h264::parse_sps(&bytes),
                    "what is right reads the same"
                );
            }
        }
    });
}

/// x265's, of 320x180.
const HEVC_SPS: [u8; 46] = [
    0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 8, 0x0b, 0x9f,
    0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x0e, 0x6a, 2, 2, 2, 8, 0, 0, 3, 0, 8, 0, 0, 3, 0, 0xc8,
    0x40,
];

#[test]
fn parse_hevc_sps() {
    assert!(h265::parse_sps(&HEVC_SPS).is_ok());
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), changed(&HEVC_SPS, input)] {
            if let Ok(format) = h265::parse_sps(&bytes) {
                let fits = 1..=h264::MAX_DIMENSION;
                assert!(fits.contains(&format.width) && fits.contains(&format.height));
            }
            if let Ok(pinned) = h265::pin_level(&bytes, 93) {
                assert!(pinned.len() <= 2 * bytes.len() + 8);
            }
        }
        let hevc = Codec::Hevc;
        let annex_b = hevc.strip_delimiter(input);
        let _ = (
            hevc.is_idr(annex_b),
            hevc.has_picture(annex_b),
            hevc.parameter_sets(annex_b),
        );
    });
}

#[test]
fn ts_read_hevc() {
    let (video, _) = sample(900_000);
    let layout = Layout {
        video: true,
        audio: false,
    };
    let valid = Writer::new(layout)
        .of(Codec::Hevc)
        .segment(&video[..12], None);
    let limits = Limits::default();
    let whole = read(&valid, Timestamp(900_000), &limits).unwrap();
    assert_eq!((whole.codec, whole.video.len()), (Codec::Hevc, 12));
    bolero::check!().for_each(|input: &[u8]| {
        let _ = read(&changed(&valid, input), Timestamp(900_000), &limits);
    });
}

#[test]
fn parse_avc_decoder_config() {
    let valid = [
        &[1, 100, 0, 31, 0xff, 0xe1, 0, 26][..],
        &SPS,
        &[1, 0, 2, 0x68, 0xeb],
    ]
    .concat();
    assert!(h264::parse_avc_decoder_config(&valid).is_ok());
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), changed(&valid, input)] {
            if let Ok(config) = h264::parse_avc_decoder_config(&bytes) {
                assert!(config.sets.is_complete());
                let au = Bytes::copy_from_slice(input);
                let whole = config.sets.in_front_of(au.clone());
                assert!(h264::is_idr(&whole) == h264::is_idr(&au));
                let _ = config.sets.active_sps(&au);
                let length = config.length_size;
                if let Ok(annex_b) = h264::avcc_to_annex_b(input, length, 100) {
                    assert!(annex_b.len() <= 100);
                }
            }
        }
        let annex_b = h264::strip_delimiter(input);
        let _ = (h264::is_idr(annex_b), h264::nal_units(annex_b).count());
    });
}

#[test]
fn parse_audio_specific_config() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Ok(config) = aac::parse_audio_specific_config(input) {
            assert!(
                aac::adts_header(&config, 100).is_some(),
                "what is taken in can be served"
            );
        }
        let _ = aac::AdtsFrame::parse(input);
    });
}
