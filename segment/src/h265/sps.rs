//! The sequence parameter set (7.3.2.2): what a stream says of its pictures.
//!
//! What is wanted stands at its beginning and, colour and rate, at its end: between them are fields of
//! many lengths, which are read to be passed over.

use crate::h264::{MAX_DIMENSION, unescape};
use crate::media::{Chroma, Codec, Samples, VideoFormat};
use crate::shape::{Colour, Ratio};

use super::bits::Bits;
use super::{H265Error, NalType};

/// More than any real SPS; one that is longer is not read.
const MAX_SPS: usize = 4096;
/// The most that a sample has in the profiles that decoders take.
const MAX_BITS: u32 = 10;
/// `matrix_coeffs` of pictures that are not luma and chroma.
const RGB: u8 = 0;
/// Sets of reference pictures, and pictures of one.
const MAX_SETS: u32 = 64;
const MAX_REFERENCES: u32 = 16;
const MAX_LONG_TERM: u32 = 32;
/// Shapes of a pixel by number, from 1 (Table E.1).
const ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
const OTHER_ASPECT: u8 = 255;

/// Reads an SPS: one NAL unit without start code. The picture is cropped; a rate, an aspect or a colour
/// that the VUI leaves out is unknown, 1:1 or unspecified.
///
/// # Errors
/// Bytes that are not an SPS; formats that no decoder here takes: more than 10 bits, RGB, fields;
/// pictures without pixels or with more than [`MAX_DIMENSION`] of them on a side.
pub fn parse_sps(nal: &[u8]) -> Result<VideoFormat, H265Error> {
    let [header, _, payload @ ..] = nal else {
        return Err(H265Error::Truncated("sequence parameter set"));
    };
    if NalType::of(*header) != NalType::Sps {
        return Err(H265Error::NalType("sequence parameter set"));
    }
    if payload.len() > MAX_SPS {
        return Err(H265Error::Sps("it is too long"));
    }
    let payload = unescape(payload);
    let bits = &mut Bits::new(&payload);
    bits.skip(4)?;
    let sub_layers = bits.u(3)?;
    bits.skip(1)?;
    let (profile_idc, constraints, level_idc) = profile_tier_level(bits, sub_layers)?;
    bits.ue()?; // its number
    let chroma = chroma(bits)?;
    let (width, height) = size(bits, chroma)?;
    let samples = samples(bits, chroma)?;
    between(bits, sub_layers)?;
    let vui = match bits.flag()? {
        true => vui(bits)?,
        false => Vui::default(),
    };
    if vui.colour.matrix == RGB {
        return Err(H265Error::Unsupported("RGB".to_owned()));
    }
    if vui.fields {
        return Err(H265Error::Unsupported("video in fields".to_owned()));
    }
    Ok(VideoFormat {
        codec: Codec::Hevc,
        width,
        height,
        profile_idc,
        constraints,
        level_idc,
        frame_rate: vui.frame_rate,
        sample_aspect: vui.sample_aspect,
        colour: vui.colour,
        interlaced: false,
        samples,
    })
}

/// `general_profile_idc`, the first byte of the constraint flags and `general_level_idc`.
fn profile_tier_level(bits: &mut Bits<'_>, sub_layers: u32) -> Result<(u8, u8, u8), H265Error> {
    let profile = bits.byte()? & 0x1f;
    bits.skip(32)?;
    let constraints = bits.byte()?;
    bits.skip(40)?;
    let level = bits.byte()?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(8u32.saturating_sub(sub_layers).saturating_mul(2))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 })?;
        bits.skip(if level { 8 } else { 0 })?;
    }
    Ok((profile, constraints, level))
}

fn chroma(bits: &mut Bits<'_>) -> Result<Chroma, H265Error> {
    match bits.ue()? {
        0 => Ok(Chroma::Grey),
        1 => Ok(Chroma::Quarter),
        2 => Ok(Chroma::Half),
        3 if !bits.flag()? => Ok(Chroma::Full),
        3 => Err(H265Error::Unsupported("colour in planes apart".to_owned())),
        _ => Err(H265Error::Sps("there is no such chroma format")),
    }
}

fn size(bits: &mut Bits<'_>, chroma: Chroma) -> Result<(u32, u32), H265Error> {
    let (width, height) = (bits.ue()?, bits.ue()?);
    let (mut across, mut down) = (0u32, 0u32);
    if bits.flag()? {
        across = bits.ue()?.saturating_add(bits.ue()?);
        down = bits.ue()?.saturating_add(bits.ue()?);
    }
    let (unit_x, unit_y) = match chroma {
        Chroma::Quarter => (2, 2),
        Chroma::Half => (2, 1),
        Chroma::Grey | Chroma::Full => (1, 1),
    };
    let width = width.saturating_sub(across.saturating_mul(unit_x));
    let height = height.saturating_sub(down.saturating_mul(unit_y));
    let allowed = 1..=MAX_DIMENSION;
    match allowed.contains(&width) && allowed.contains(&height) {
        true => Ok((width, height)),
        false => Err(H265Error::Unsupported(format!(
            "a picture of {width}x{height}"
        ))),
    }
}

fn samples(bits: &mut Bits<'_>, chroma: Chroma) -> Result<Samples, H265Error> {
    let luma = bits.ue()?.saturating_add(8);
    let of_chroma = bits.ue()?.saturating_add(8);
    if luma > MAX_BITS || (chroma != Chroma::Grey && luma != of_chroma) {
        let text = format!("luma in {luma} bits with chroma in {of_chroma}");
        return Err(H265Error::Unsupported(text));
    }
    Ok(Samples {
        chroma,
        bits: u8::try_from(luma).unwrap_or(u8::MAX),
    })
}

/// From the number of the first picture to the VUI.
fn between(bits: &mut Bits<'_>, sub_layers: u32) -> Result<(), H265Error> {
    let order_bits = bits.count(12)?.saturating_add(4);
    let of_each = bits.flag()?;
    let layers = if of_each {
        sub_layers.saturating_add(1)
    } else {
        1
    };
    bits.skip_codes(layers.saturating_mul(3))?;
    bits.skip_codes(6)?; // sizes of blocks and transforms
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // asymmetric partitions, sample-adaptive offset
    if bits.flag()? {
        bits.skip(8)?; // depths of what is not compressed
        bits.skip_codes(2)?;
        bits.skip(1)?;
    }
    let sets = bits.count(MAX_SETS)?;
    let mut before = 0;
    for index in 0..sets {
        before = reference_set(bits, index, before)?;
    }
    if bits.flag()? {
        for _ in 0..bits.count(MAX_LONG_TERM)? {
            bits.skip(order_bits.saturating_add(1))?;
        }
    }
    bits.skip(2) // motion vectors over time, strong smoothing
}

fn scaling_lists(bits: &mut Bits<'_>) -> Result<(), H265Error> {
    for size in 0..4u32 {
        let matrices = if size == 3 { 2 } else { 6 };
        for _ in 0..matrices {
            if !bits.flag()? {
                bits.ue()?; // as another one
                continue;
            }
            let coefficients = 64.min(16u32.wrapping_shl(size.saturating_mul(2)));
            bits.skip_codes(coefficients.saturating_add(u32::from(size > 1)))?;
        }
    }
    Ok(())
}

/// Passes a set of reference pictures over, `before` of which the one before it has; answers how many
/// this one has.
fn reference_set(bits: &mut Bits<'_>, index: u32, before: u32) -> Result<u32, H265Error> {
    let mut pictures = 0u32;
    if index > 0 && bits.flag()? {
        bits.skip(1)?;
        bits.ue()?;
        for _ in 0..=before {
            let used = bits.flag()?;
            if used || bits.flag()? {
                pictures = pictures.saturating_add(1);
            }
        }
    } else {
        pictures = bits
            .count(MAX_REFERENCES)?
            .saturating_add(bits.count(MAX_REFERENCES)?);
        for _ in 0..pictures {
            bits.ue()?;
            bits.skip(1)?;
        }
    }
    match pictures <= MAX_REFERENCES {
        true => Ok(pictures),
        false => Err(H265Error::Sps("a set of more than 16 reference pictures")),
    }
}

/// What is said for those who show pictures.
struct Vui {
    sample_aspect: Ratio,
    colour: Colour,
    fields: bool,
    frame_rate: Option<Ratio>,
}

impl Default for Vui {
    fn default() -> Self {
        Self {
            sample_aspect: Ratio::ONE,
            colour: Colour::default(),
            fields: false,
            frame_rate: None,
        }
    }
}

fn vui(bits: &mut Bits<'_>) -> Result<Vui, H265Error> {
    let mut vui = Vui::default();
    if bits.flag()? {
        let number = bits.byte()?;
        let aspect = match number {
            OTHER_ASPECT => Some((bits.u(16)?, bits.u(16)?)),
            _ => number
                .checked_sub(1)
                .and_then(|at| ASPECTS.get(usize::from(at)).copied()),
        };
        let aspect = aspect.and_then(|(w, h)| Ratio::new(w, h));
        vui.sample_aspect = aspect.unwrap_or(Ratio::ONE);
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan
    }
    if bits.flag()? {
        bits.skip(3)?;
        vui.colour.full_range = bits.flag()?;
        if bits.flag()? {
            vui.colour.primaries = bits.byte()?;
            vui.colour.transfer = bits.byte()?;
            vui.colour.matrix = bits.byte()?;
        }
    }
    if bits.flag()? {
        bits.skip_codes(2)?; // where chroma lies
    }
    bits.skip(1)?;
    vui.fields = bits.flag()?;
    bits.skip(1)?;
    if bits.flag()? {
        bits.skip_codes(4)?; // a window to be shown
    }
    if bits.flag()? {
        let (tick, scale) = (bits.u(32)?, bits.u(32)?);
        vui.frame_rate = Ratio::new(scale, tick);
    }
    Ok(vui)
}

/// The format as `CODECS` of a playlist names it (ISO/IEC 14496-15, Annex E), for Main and Main 10 in
/// the main tier: `hvc1.1.6.L93.90`.
pub fn codec_string(format: &VideoFormat) -> String {
    // Compatibility flags, as those profiles set them, in reverse order.
    let compatible = if format.profile_idc == super::MAIN {
        6
    } else {
        4
    };
    format!(
        "hvc1.{}.{compatible}.L{}.{:02x}",
        format.profile_idc, format.level_idc, format.constraints
    )
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use super::*;

    /// x265: Main, 320x180, 25 frames a second, pixels of 4:3, BT.709.
    pub(in super::super) fn sps() -> Vec<u8> {
        let text = "42010101600000030090000003000003003ca00a080b9f796566924caf0e6a0202\
                    0208000003000800000300c840";
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn what_x265_says() {
        let format = parse_sps(&sps()).unwrap();
        assert_eq!((format.width, format.height), (320, 180));
        assert_eq!((format.profile_idc, format.level_idc), (1, 60));
        assert_eq!(format.frame_rate, Ratio::new(25, 1));
        assert_eq!(format.sample_aspect, Ratio::new(4, 3).unwrap());
        let colour = format.colour;
        assert_eq!(
            (colour.primaries, colour.transfer, colour.matrix),
            (1, 1, 1)
        );
        assert!(format.samples.is_plain());
        assert_eq!(codec_string(&format), "hvc1.1.6.L60.90");
    }

    #[test]
    fn anything_else_is_an_error() {
        let sps = sps();
        for cut in 0..sps.len() - 8 {
            assert!(parse_sps(&sps[..cut]).is_err(), "cut at {cut}");
        }
        let mut pps = sps;
        pps[0] = 0x44;
        assert_eq!(
            parse_sps(&pps),
            Err(H265Error::NalType("sequence parameter set"))
        );
        assert!(parse_sps(&[0x42; 5000]).is_err());
    }
}
