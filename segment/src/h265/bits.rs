//! Fields of a parameter set, one after another.

use h264_reader::rbsp::{BitRead, BitReader};

use super::H265Error;

const CUT: H265Error = H265Error::Truncated("sequence parameter set");

/// Reads from the payload of a NAL unit whose emulation prevention is taken off.
pub(super) struct Bits<'a>(BitReader<&'a [u8]>);

impl<'a> Bits<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self(BitReader::new(payload))
    }

    pub(super) fn flag(&mut self) -> Result<bool, H265Error> {
        self.0.read_bit("").map_err(|_| CUT)
    }

    /// `u(n)`, 32 bits at most.
    pub(super) fn u(&mut self, count: u32) -> Result<u32, H265Error> {
        let mut value = 0u32;
        for _ in 0..count {
            value = value.wrapping_shl(1) | u32::from(self.flag()?);
        }
        Ok(value)
    }

    pub(super) fn byte(&mut self) -> Result<u8, H265Error> {
        Ok(u8::try_from(self.u(8)?).unwrap_or(u8::MAX))
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<(), H265Error> {
        self.0.skip(count, "").map_err(|_| CUT)
    }

    /// `ue(v)`
    pub(super) fn ue(&mut self) -> Result<u32, H265Error> {
        self.0.read_ue("").map_err(|_| CUT)
    }

    /// `ue(v)` that counts something of which there are at most so many.
    pub(super) fn count(&mut self, most: u32) -> Result<u32, H265Error> {
        let count = self.ue()?;
        match count <= most {
            true => Ok(count),
            false => Err(H265Error::Sps(
                "it counts more of something than there may be",
            )),
        }
    }

    /// Passes so many `ue(v)` or `se(v)` over, which are coded alike.
    pub(super) fn skip_codes(&mut self, count: u32) -> Result<(), H265Error> {
        for _ in 0..count {
            self.ue()?;
        }
        Ok(())
    }
}
