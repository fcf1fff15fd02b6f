//! Reads a sequence parameter set as decoders do: what pictures are coded by must be right, and
//! what is only advice need not be.
//!
//! Cameras are sold whose parameter sets have a stray byte at their end, no emulation prevention, or
//! a VUI that contradicts itself or is cut short. Every decoder takes them, so whoever only wants to
//! know the size of the pictures must not be the one who refuses them. `h264-reader` asks its source
//! for each field by the name that the standard gives it: what is not wanted is answered here with a
//! no.

use h264_reader::nal::sps::{SeqParameterSet, SpsError};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, Integer, Primitive};

/// The flag that stands in front of the VUI.
const VUI: &str = "vui_parameters_present_flag";
/// The flag behind the last field of the VUI that is of use here: its rate, aspect and colour are
/// read by then, buffers and limits of motion vectors follow.
const BUFFERS: &str = "hrd_parameters_present_flag";

/// Reads the payload of an SPS, without emulation prevention.
pub(super) fn read(payload: &[u8]) -> Result<SeqParameterSet, SpsError> {
    let up_to = |end| SeqParameterSet::from_bits(Tolerant::new(payload, end));
    up_to(BUFFERS).or_else(|_| up_to(VUI))
}

struct Tolerant<'a> {
    bits: BitReader<&'a [u8]>,
    /// The first flag that is not read any more.
    end: &'static str,
    ended: bool,
}

impl<'a> Tolerant<'a> {
    fn new(payload: &'a [u8], end: &'static str) -> Self {
        Self {
            bits: BitReader::new(payload),
            end,
            ended: false,
        }
    }
}

impl BitRead for Tolerant<'_> {
    fn read_bit(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        self.ended |= name == self.end;
        if self.ended {
            return Ok(false);
        }
        self.bits.read_bit(name)
    }

    fn finish_rbsp(self) -> Result<(), BitReaderError> {
        Ok(())
    }

    fn read_ue(&mut self, name: &'static str) -> Result<u32, BitReaderError> {
        self.bits.read_ue(name)
    }

    fn read_se(&mut self, name: &'static str) -> Result<i32, BitReaderError> {
        self.bits.read_se(name)
    }

    fn read<const BITS: u32, I: Integer>(
        &mut self,
        name: &'static str,
    ) -> Result<I, BitReaderError> {
        self.bits.read::<BITS, I>(name)
    }

    fn read_var<I: Integer>(
        &mut self,
        bit_count: u32,
        name: &'static str,
    ) -> Result<I, BitReaderError> {
        self.bits.read_var(bit_count, name)
    }

    fn read_to<V: Primitive>(&mut self, name: &'static str) -> Result<V, BitReaderError> {
        self.bits.read_to(name)
    }

    fn skip(&mut self, bit_count: u32, name: &'static str) -> Result<(), BitReaderError> {
        self.bits.skip(bit_count, name)
    }

    fn byte_aligned(&self) -> bool {
        self.bits.byte_aligned()
    }

    fn has_more_rbsp_data(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        self.bits.has_more_rbsp_data(name)
    }

    fn finish_sei_payload(self) -> Result<(), BitReaderError> {
        Ok(())
    }
}
