//! H.264 headers that no encoder writes.

use bytes::Bytes;
use rackcast_segment::h264::nal_units;

struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.0.extend((0..count).rev().map(|i| value >> i & 1 == 1));
        self
    }

    /// `ue(v)`
    fn ue(&mut self, value: u32) -> &mut Self {
        let length = 32 - (value + 1).leading_zeros();
        self.put(0, length - 1).put(value + 1, length)
    }
}

/// A baseline sequence parameter set of so many macroblocks and reference pictures.
pub(crate) fn sps(width: u32, height: u32, references: u32) -> Vec<u8> {
    let mut bits = Bits(Vec::new());
    bits.put(0x67, 8).put(66, 8).put(0, 8).put(51, 8);
    // Its number, the length of frame numbers, the order of pictures.
    bits.ue(0).ue(0).ue(2);
    bits.ue(references).put(0, 1).ue(width - 1).ue(height - 1);
    // Frames only, direct 8x8; cropped from 192 to 180 lines where it is that small.
    bits.put(0b11, 2);
    if height == 12 {
        bits.put(1, 1).ue(0).ue(0).ue(0).ue(6);
    } else {
        bits.put(0, 1);
    }
    bits.put(0, 1).put(1, 1);
    let bytes = bits.0.chunks(8);
    bytes
        .map(|byte| {
            byte.iter()
                .enumerate()
                .fold(0, |b, (i, bit)| b | u8::from(*bit) << (7 - i))
        })
        .collect()
}

/// The access unit with another sequence parameter set.
pub(crate) fn replace_sps(annex_b: &[u8], sps: &[u8]) -> Bytes {
    annex_b_of(nal_units(annex_b).map(|nal| if nal[0] & 0x1f == 7 { sps } else { nal }))
}

pub(crate) fn without_parameter_sets(annex_b: &[u8]) -> Bytes {
    annex_b_of(nal_units(annex_b).filter(|nal| !matches!(nal[0] & 0x1f, 7 | 8)))
}

pub(crate) fn annex_b_of<'a>(nals: impl Iterator<Item = &'a [u8]>) -> Bytes {
    nals.flat_map(|nal| [&[0, 0, 0, 1], nal].concat()).collect()
}
