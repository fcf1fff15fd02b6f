//! Rewrites an encoder's sequence parameter set into the one that the job pins.
//!
//! Encoders disagree in what they can signal: openh264 chooses its own level and profile and
//! knows no colour, x264 states the time base of GStreamer as a frame rate. A player must not
//! notice which of them made a segment, so nothing that describes the stream is left to them.
//! Of their parameter set only the fields stay that the slices are coded by; profile, level
//! and the whole VUI are written anew. That is sound because a bitstream of a lower profile
//! is one of the higher ones too ([`rewrite`] refuses the other direction), and because the
//! VUI takes no part in decoding.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use rackcast_segment::h264::{escape, unescape};
use rackcast_segment::shape::{Profile, Ratio, Shape};

use super::bits::{BitReader, BitWriter};

/// Reference pictures that every rendition announces at least, so that the size of the
/// decoded picture buffer does not depend on the encoder: what x264 needs for its pyramid.
const MIN_DPB_FRAMES: u32 = 4;

const BASELINE: u32 = 66;
const MAIN: u32 = 77;
const HIGH: u32 = 100;

/// What the parameter set of a rendition must say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pinned {
    pub(super) profile: Profile,
    pub(super) level_idc: u8,
    pub(super) shape: Shape,
    pub(super) frame_rate: Ratio,
}

/// Why a parameter set cannot be made to fit; the encoder is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpsError {
    #[error("the encoder's parameter set cannot be read")]
    Malformed,
    #[error("the encoder used profile {0}, which is above the pinned one")]
    Profile(u32),
    #[error("the encoder needs {0} reference pictures; the level allows 16 at the most")]
    References(u32),
}

/// Reads the NAL unit `sps` (no start code) and writes the pinned one.
pub(super) fn rewrite(sps: &[u8], pinned: &Pinned) -> Result<Vec<u8>, SpsError> {
    let (header, payload) = sps.split_first().ok_or(SpsError::Malformed)?;
    let payload = unescape(payload);
    let mut out = vec![*header];
    escape(&transform(&payload, pinned)?, &mut out);
    Ok(out)
}

fn rank(profile_idc: u32) -> Option<u8> {
    match profile_idc {
        BASELINE => Some(0),
        MAIN => Some(1),
        HIGH => Some(2),
        _ => None,
    }
}

fn transform(payload: &[u8], pinned: &Pinned) -> Result<Vec<u8>, SpsError> {
    let mut copy = Copy {
        from: BitReader::new(payload),
        to: BitWriter::default(),
    };
    let profile = copy.skip(8)?;
    copy.skip(16)?;
    let (profile_idc, constraints) = pinned.profile.idc();
    if rank(profile).is_none_or(|r| Some(r) > rank(u32::from(profile_idc))) {
        return Err(SpsError::Profile(profile));
    }
    copy.to.bits(u32::from(profile_idc), 8);
    copy.to.bits(u32::from(constraints), 8);
    copy.to.bits(u32::from(pinned.level_idc), 8);
    copy.ue()?; // seq_parameter_set_id

    if profile == HIGH {
        // chroma_format_idc, bit depths: 4:2:0 in 8 bits is all that the profile allows here.
        let plain = (copy.from.ue(), copy.from.ue(), copy.from.ue());
        let (bypass, matrices) = (copy.from.bit(), copy.from.bit());
        if (plain, bypass, matrices) != ((Some(1), Some(0), Some(0)), Some(false), Some(false)) {
            return Err(SpsError::Malformed);
        }
    }
    if pinned.profile == Profile::High {
        copy.to.ue(1);
        copy.to.ue(0);
        copy.to.ue(0);
        copy.to.bits(0, 2);
    }

    copy.ue()?; // log2_max_frame_num_minus4
    match copy.ue()? {
        0 => {
            copy.ue()?;
        }
        1 => {
            copy.bit()?;
            copy.ue()?;
            copy.ue()?;
            for _ in 0..copy.ue()?.min(255) {
                copy.ue()?;
            }
        }
        2 => {}
        _ => return Err(SpsError::Malformed),
    }
    let references = copy.ue()?;
    if references > 16 {
        return Err(SpsError::References(references));
    }
    copy.bit()?; // gaps_in_frame_num_value_allowed_flag
    copy.ue()?; // pic_width_in_mbs_minus1
    copy.ue()?; // pic_height_in_map_units_minus1
    if !copy.bit()? {
        copy.bit()?; // mb_adaptive_frame_field_flag
    }
    // Says how B pictures are predicted. The higher profiles want it from level 3 on; Baseline
    // has no B pictures to be mistaken in.
    let direct_8x8_inference = copy.skip(1)? == 1;
    copy.to.bit(direct_8x8_inference || profile == BASELINE);
    if copy.bit()? {
        for _ in 0..4 {
            copy.ue()?; // frame cropping
        }
    }
    let mut to = copy.to;
    to.bit(true);
    vui(&mut to, pinned, references);
    Ok(to.finish())
}

fn vui(to: &mut BitWriter, pinned: &Pinned, references: u32) {
    const EXTENDED_SAR: u32 = 255;
    const UNSPECIFIED_FORMAT: u32 = 5;
    const UNSPECIFIED: u8 = 2;
    let Shape {
        colour,
        sample_aspect,
        reorder_depth,
        ..
    } = pinned.shape;

    to.bit(true);
    let clamp = |v: u32| v.min(0xffff);
    if sample_aspect == Ratio::ONE {
        to.bits(1, 8);
    } else {
        to.bits(EXTENDED_SAR, 8);
        to.bits(clamp(sample_aspect.num()), 16);
        to.bits(clamp(sample_aspect.den()), 16);
    }
    to.bit(false); // overscan
    to.bit(true);
    to.bits(UNSPECIFIED_FORMAT, 3);
    to.bit(colour.full_range);
    let description = [colour.primaries, colour.transfer, colour.matrix];
    let described = description.iter().any(|c| *c != UNSPECIFIED);
    to.bit(described);
    if described {
        for code in description {
            to.bits(u32::from(code), 8);
        }
    }
    to.bit(false); // chroma location
    to.bit(true);
    to.bits(pinned.frame_rate.den(), 32);
    to.bits(pinned.frame_rate.num().saturating_mul(2), 32);
    to.bit(false); // the rate may vary
    to.bits(0, 3); // no HRD parameters, no pic_struct
    to.bit(true);
    to.bit(true); // motion vectors may point outside
    to.ue(0); // bytes and bits without a bound
    to.ue(0);
    to.ue(15); // motion vectors of any length
    to.ue(15);
    let reorder = u32::from(reorder_depth);
    to.ue(reorder);
    to.ue(references.max(reorder).max(MIN_DPB_FRAMES));
}

/// Copies fields from one bit string to another, and says what they were.
struct Copy<'a> {
    from: BitReader<'a>,
    to: BitWriter,
}

impl Copy<'_> {
    fn skip(&mut self, count: u32) -> Result<u32, SpsError> {
        self.from.bits(count).ok_or(SpsError::Malformed)
    }

    fn bit(&mut self) -> Result<bool, SpsError> {
        let bit = self.from.bit().ok_or(SpsError::Malformed)?;
        self.to.bit(bit);
        Ok(bit)
    }

    /// `se(v)` too: the same code, read otherwise.
    fn ue(&mut self) -> Result<u32, SpsError> {
        let value = self.from.ue().ok_or(SpsError::Malformed)?;
        self.to.ue(value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rackcast_segment::h264::parse_sps;
    use rackcast_segment::shape::Colour;
    use rackcast_segment::time::Ticks;

    use super::*;

    /// As openh264 writes it: 320x180, level 1.2, no VUI.
    fn baseline() -> Vec<u8> {
        let mut w = BitWriter::default();
        w.bits(BASELINE, 8);
        w.bits(0xc0, 8);
        w.bits(12, 8);
        for value in [0, 11, 2, 1] {
            w.ue(value); // id, frame number, order by decoding, references
        }
        w.bit(false);
        w.ue(19);
        w.ue(11);
        w.bits(0b101, 3); // frames only, no direct 8x8, cropped
        for crop in [0, 0, 0, 6] {
            w.ue(crop);
        }
        w.bit(false);
        let mut nal = vec![0x67];
        escape(&w.finish(), &mut nal);
        nal
    }

    fn pinned(profile: Profile) -> Pinned {
        Pinned {
            profile,
            level_idc: 31,
            shape: Shape {
                reorder_depth: 2,
                dts_offset: Ticks(0),
                colour: Colour {
                    primaries: 9,
                    transfer: 16,
                    matrix: 9,
                    full_range: true,
                },
                sample_aspect: Ratio::new(12, 11).unwrap(),
            },
            frame_rate: Ratio::new(30_000, 1001).unwrap(),
        }
    }

    #[test]
    fn everything_pinned_is_said_and_the_size_stays() {
        for profile in [Profile::ConstrainedBaseline, Profile::Main, Profile::High] {
            let pinned = pinned(profile);
            let sps = rewrite(&baseline(), &pinned).unwrap();
            let format = parse_sps(&sps).unwrap();
            assert_eq!((format.width, format.height), (320, 180));
            assert_eq!((format.profile_idc, format.constraints), profile.idc());
            assert_eq!(format.level_idc, 31);
            assert_eq!(format.colour, pinned.shape.colour);
            assert_eq!(format.sample_aspect, pinned.shape.sample_aspect);
            assert_eq!(format.frame_rate, Some(pinned.frame_rate));
            assert_eq!(rewrite(&sps, &pinned).unwrap(), sps, "what is pinned stays");
        }
    }

    #[test]
    fn a_profile_is_never_lowered() {
        let high = rewrite(&baseline(), &pinned(Profile::High)).unwrap();
        assert_eq!(
            rewrite(&high, &pinned(Profile::Main)),
            Err(SpsError::Profile(HIGH))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..40) {
            let _ = rewrite(&bytes, &pinned(Profile::High));
            let sps = baseline();
            let bent: Vec<u8> = sps.into_iter().take(cut).chain(bytes).collect();
            let _ = rewrite(&bent, &pinned(Profile::High));
        }
    }
}
