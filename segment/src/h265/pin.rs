//! What an encoder's parameter sets say of profile and level, written anew.
//!
//! It stands at fixed places, in whole bytes, in front of everything that slices are coded by.

use super::{H265Error, NalType};
use crate::h264::{escape, unescape};

/// `general_profile_idc` of the Main profile: 4:2:0 in 8 bits.
pub const MAIN: u8 = 1;
/// The first byte of its constraint flags: progressive, coded as frames.
pub const MAIN_CONSTRAINTS: u8 = 0x90;
/// Profile, tier, compatibility with itself and what is above it, constraints.
const PROFILE: [u8; 11] = [MAIN, 0x60, 0, 0, 0, MAIN_CONSTRAINTS, 0, 0, 0, 0, 0];

/// A VPS or SPS (one NAL unit, no start code) with the Main profile and this level; any other NAL unit
/// as it is.
///
/// # Errors
/// It is too short, or of a profile that is not Main.
pub fn pin_level(nal: &[u8], level_idc: u8) -> Result<Vec<u8>, H265Error> {
    let header = nal.first().copied().unwrap_or(0);
    // Two bytes of header; then four in a VPS and one in an SPS.
    let at = match NalType::of(header) {
        NalType::Vps => 6usize,
        NalType::Sps => 3,
        _ => return Ok(nal.to_vec()),
    };
    let mut bytes = unescape(nal);
    let cut = || H265Error::Truncated("parameter set");
    let place = bytes
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<12>());
    let [place @ .., level] = place.ok_or_else(cut)?;
    if place.first().is_some_and(|profile| profile & 0x1f != MAIN) {
        return Err(H265Error::Sps("the encoder used another profile than Main"));
    }
    place.copy_from_slice(&PROFILE);
    *level = level_idc;
    let mut out = Vec::with_capacity(nal.len().saturating_add(8));
    escape(&bytes, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use super::super::parse_sps;
    use super::super::sps::tests::sps;
    use super::*;

    #[test]
    fn only_profile_and_level_are_written() {
        let pinned = pin_level(&sps(), 123).unwrap();
        let (before, after) = (parse_sps(&sps()).unwrap(), parse_sps(&pinned).unwrap());
        assert_eq!(
            (after.level_idc, after.constraints),
            (123, MAIN_CONSTRAINTS)
        );
        assert_eq!((after.width, after.height), (before.width, before.height));
        assert_eq!(pin_level(&pinned, 123).unwrap(), pinned);
        assert_eq!(
            pin_level(&[0x44, 1, 2], 123).unwrap(),
            [0x44, 1, 2],
            "a PPS"
        );
        assert!(pin_level(&sps()[..10], 123).is_err());
    }
}
