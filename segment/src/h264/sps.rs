//! The sequence parameter set: what a stream says of its pictures.

use h264_reader::nal::sps::{ChromaFormat, ChromaInfo, FrameMbsFlags, SeqParameterSet, TimingInfo};
use h264_reader::rbsp::{BitReader, ByteReader};

use crate::media::{Chroma, Codec, Samples, VideoFormat};
use crate::shape::{Colour, Ratio};

use super::{H264Error, NalType, tolerant, unescape};

/// The widest and the tallest picture that is accepted, in pixels.
pub const MAX_DIMENSION: u32 = 8192;
/// More than any real SPS; one that is longer is not read.
const MAX_SPS: usize = 1024;
/// The most that a sample has in the profiles that decoders take.
const MAX_BITS: u8 = 10;
/// `matrix_coefficients` of pictures that are not luma and chroma.
const RGB: u8 = 0;
/// Level 6.2, which allows the largest pictures.
const HIGHEST_LEVEL: u8 = 62;

/// Reads an SPS, one NAL unit without start code, as decoders do: what is wrong behind the size of
/// the pictures is passed over (see `tolerant.rs`).
///
/// The picture is cropped; a rate, an aspect or a colour that the VUI leaves out is unknown,
/// 1:1 or unspecified. A picture too large for the stated level is accepted, since encoders
/// that state a level too low are common and play well.
///
/// # Errors
/// Bytes that are not an SPS; formats that no decoder here takes: more than 10 bits, RGB, colour
/// planes apart; pictures without pixels or with more than [`MAX_DIMENSION`] of them on a side.
pub fn parse_sps(nal: &[u8]) -> Result<VideoFormat, H264Error> {
    let head = Head::of(nal)?;
    let sps = tolerant::read(&head.readable(&unescape(head.body)));
    head.format(&sps.map_err(|e| H264Error::Sps(format!("{e:?}")))?)
}

/// Reads an SPS as [`parse_sps`] does, and finds fault with all that the standard does: for who
/// was told what to write.
///
/// # Errors
/// Those of [`parse_sps`]; a VUI that breaks the standard, or anything behind the end.
pub fn check_sps(nal: &[u8]) -> Result<VideoFormat, H264Error> {
    let head = Head::of(nal)?;
    let bytes = head.readable(head.body);
    let bits = BitReader::new(ByteReader::without_skip(bytes.as_slice()));
    let sps = SeqParameterSet::from_bits(bits);
    head.format(&sps.map_err(|e| H264Error::Sps(format!("{e:?}")))?)
}

/// The bytes in front, and what comes behind them.
struct Head<'a> {
    profile_idc: u8,
    constraints: u8,
    level_idc: u8,
    body: &'a [u8],
}

impl<'a> Head<'a> {
    fn of(nal: &'a [u8]) -> Result<Self, H264Error> {
        let &[header, profile_idc, constraints, level_idc, ref body @ ..] = nal else {
            return Err(H264Error::Truncated("sequence parameter set"));
        };
        if NalType::of(header) != NalType::Sps {
            return Err(H264Error::NalType {
                expected: 7,
                got: header & 0x1f,
            });
        }
        if body.len() > MAX_SPS {
            return Err(H264Error::Sps(format!("it is longer than {MAX_SPS} bytes")));
        }
        Ok(Self {
            profile_idc,
            constraints,
            level_idc,
            body,
        })
    }

    /// The reader refuses pictures above the level's size, so it is shown the highest level.
    fn readable(&self, body: &[u8]) -> Vec<u8> {
        [&[self.profile_idc, self.constraints, HIGHEST_LEVEL], body].concat()
    }

    fn format(&self, sps: &SeqParameterSet) -> Result<VideoFormat, H264Error> {
        let samples = samples(&sps.chroma_info)?;
        let colour = colour(sps);
        if colour.matrix == RGB {
            return Err(H264Error::Unsupported("RGB".to_owned()));
        }
        let (width, height) = sps
            .pixel_dimensions()
            .map_err(|e| H264Error::Sps(format!("{e:?}")))?;
        if !(1..=MAX_DIMENSION).contains(&width) || !(1..=MAX_DIMENSION).contains(&height) {
            return Err(H264Error::Unsupported(format!(
                "a picture of {width}x{height}"
            )));
        }
        let vui = sps.vui_parameters.as_ref();
        let aspect = vui
            .and_then(|v| v.aspect_ratio_info.as_ref())
            .and_then(|a| a.get());
        Ok(VideoFormat {
            codec: Codec::H264,
            width,
            height,
            profile_idc: self.profile_idc,
            constraints: self.constraints,
            level_idc: self.level_idc,
            frame_rate: vui.and_then(|v| v.timing_info.as_ref()).and_then(rate),
            sample_aspect: aspect
                .and_then(|(w, h)| Ratio::new(w.into(), h.into()))
                .unwrap_or(Ratio::ONE),
            colour,
            interlaced: !matches!(sps.frame_mbs_flags, FrameMbsFlags::Frames),
            samples,
        })
    }
}

/// A frame lasts two ticks: the clock counts fields.
fn rate(timing: &TimingInfo) -> Option<Ratio> {
    let (num, den) = (timing.time_scale, timing.num_units_in_tick);
    match den.checked_mul(2) {
        Some(den) => Ratio::new(num, den),
        None => Ratio::new(num / 2, den),
    }
}

fn samples(chroma: &ChromaInfo) -> Result<Samples, H264Error> {
    let unsupported = |text| Err(H264Error::Unsupported(text));
    let (bits, of_chroma) = (
        chroma.bit_depth_luma_minus8.saturating_add(8),
        chroma.bit_depth_chroma_minus8.saturating_add(8),
    );
    let chroma = match chroma.chroma_format {
        ChromaFormat::Monochrome => Chroma::Grey,
        ChromaFormat::YUV420 => Chroma::Quarter,
        ChromaFormat::YUV422 => Chroma::Half,
        ChromaFormat::YUV444 if !chroma.separate_colour_plane_flag => Chroma::Full,
        ref other => return unsupported(format!("chroma format {other:?}")),
    };
    if bits > MAX_BITS || (chroma != Chroma::Grey && bits != of_chroma) {
        return unsupported(format!("luma in {bits} bits with chroma in {of_chroma}"));
    }
    Ok(Samples { chroma, bits })
}

fn colour(sps: &SeqParameterSet) -> Colour {
    let Some(signal) = sps
        .vui_parameters
        .as_ref()
        .and_then(|v| v.video_signal_type.as_ref())
    else {
        return Colour::default();
    };
    let full_range = signal.video_full_range_flag;
    match &signal.colour_description {
        None => Colour {
            full_range,
            ..Colour::default()
        },
        Some(c) => Colour {
            primaries: c.colour_primaries,
            transfer: c.transfer_characteristics,
            matrix: c.matrix_coefficients,
            full_range,
        },
    }
}

/// The format as `CODECS` of a playlist names it (RFC 6381): `avc1.64001f`.
pub fn codec_string(format: &VideoFormat) -> String {
    format!(
        "avc1.{:02x}{:02x}{:02x}",
        format.profile_idc, format.constraints, format.level_idc
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// x264: High, 640x360, 30 frames a second, no colour.
    fn progressive() -> Vec<u8> {
        hex("6764001facd940a02ff970110000030001000003003c0f183196")
    }

    #[test]
    fn a_progressive_stream() {
        let format = parse_sps(&progressive()).unwrap();
        assert_eq!((format.width, format.height), (640, 360));
        assert_eq!(format.frame_rate, Ratio::new(30, 1));
        assert_eq!(format.sample_aspect, Ratio::ONE);
        assert_eq!(format.colour, Colour::default());
        assert!(!format.interlaced);
        assert_eq!(codec_string(&format), "avc1.64001f");
    }

    #[test]
    fn an_interlaced_anamorphic_stream_with_colour() {
        let sps = hex("674d401eeca05a126ffc010000b5b8282832000003000200000300643e28532c");
        let format = parse_sps(&sps).unwrap();
        assert_eq!((format.width, format.height), (720, 576));
        assert!(format.interlaced);
        assert_eq!(format.frame_rate, Ratio::new(25, 1));
        assert_eq!(format.sample_aspect, Ratio::new(64, 45).unwrap());
        assert_eq!(format.colour.primaries, 5);
        assert!(format.colour.full_range);
    }

    #[test]
    fn a_level_too_low_for_the_picture_is_kept_and_forgiven() {
        let mut sps = progressive();
        sps[3] = 10;
        assert_eq!(parse_sps(&sps).unwrap().level_idc, 10);
    }

    /// Reads the same, and is found fault with.
    fn is_forgiven(sps: &[u8], width: u32, height: u32) -> VideoFormat {
        assert!(matches!(check_sps(sps), Err(H264Error::Sps(_))));
        let format = parse_sps(sps).unwrap();
        assert_eq!((format.width, format.height), (width, height));
        format
    }

    #[test]
    fn a_camera_with_a_stray_byte_at_the_end() {
        // Dahua's, in band (github.com/scottlamb/retina/issues/102).
        let sps = hex("67640033ac1514a0a03da1000004f6000063380404");
        let format = is_forgiven(&sps, 640, 480);
        assert_eq!(format.frame_rate, Ratio::new(10, 1));
    }

    #[test]
    fn a_vui_that_contradicts_itself_keeps_its_rate() {
        let mut sps = progressive();
        // Room for two pictures, though four are referred to.
        let end = sps.len() - 2;
        sps.truncate(end);
        sps.extend([0x31, 0xb8]);
        assert_eq!(is_forgiven(&sps, 640, 360).frame_rate, Ratio::new(30, 1));
    }

    #[test]
    fn a_vui_that_is_cut_short_is_passed_over() {
        let sps = progressive();
        let (mut cut, mut rates) = (0, 0);
        for at in 12..sps.len() - 1 {
            cut += 1;
            let format = is_forgiven(&sps[..at], 640, 360);
            rates += usize::from(format.frame_rate == Ratio::new(30, 1));
        }
        assert!(rates > 0 && rates < cut, "{rates} of {cut}");
    }

    #[test]
    fn a_payload_without_emulation_prevention() {
        let mut sps = progressive();
        let escape = sps.windows(3).position(|w| *w == [0, 0, 3]).unwrap() + 2;
        sps.remove(escape);
        is_forgiven(&sps, 640, 360);
    }

    #[test]
    fn anything_else_is_an_error() {
        let sps = progressive();
        for cut in 0..sps.len() - 1 {
            assert!(check_sps(&sps[..cut]).is_err(), "cut at {cut}");
        }
        for cut in 0..9 {
            assert!(parse_sps(&sps[..cut]).is_err(), "cut at {cut}");
        }
        let mut pps = sps;
        pps[0] = 0x68;
        assert_eq!(
            parse_sps(&pps),
            Err(H264Error::NalType {
                expected: 7,
                got: 8
            })
        );
        assert!(matches!(parse_sps(&[0x67; 5000]), Err(H264Error::Sps(_))));
    }
}
