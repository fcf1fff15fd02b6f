//! H.264 that no encoder here writes.

use bytes::Bytes;
use rackcast_segment::h264::nal_units;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;

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

    /// Zeros to the end of the last byte.
    fn bytes(&self) -> Vec<u8> {
        let bytes = self.0.chunks(8);
        let value = |byte: &[bool]| {
            let bits = byte.iter().enumerate();
            bits.fold(0, |b, (i, bit)| b | u8::from(*bit) << (7 - i))
        };
        bytes.map(value).collect()
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
    bits.bytes()
}

/// Interlaced pictures of 64x64, 25 a second, coded as two fields each (PAFF, which x264 has not): a
/// bar that moves from field to field, in samples that are not compressed.
pub(crate) fn field_pairs(pictures: u32) -> Vec<AccessUnit> {
    let pictures = (0..pictures).map(|n| {
        let mut nals = Vec::new();
        if n == 0 {
            let mut sps = Bits(Vec::new());
            sps.put(0x67, 8).put(77, 8).put(0, 8).put(30, 8);
            // Four macroblocks across, two down in each field, of which there may be two.
            sps.ue(0)
                .ue(0)
                .ue(2)
                .ue(1)
                .put(0, 1)
                .ue(3)
                .ue(1)
                .put(0b00, 2);
            nals.push(sps.put(0b1001, 4).bytes());
            let mut pps = Bits(Vec::new());
            pps.put(0x68, 8).ue(0).ue(0).put(0b00, 2).ue(0).ue(0).ue(0);
            nals.push(pps.put(0, 3).ue(0).ue(0).ue(0).put(0b1001, 4).bytes());
        }
        nals.extend([false, true].map(|bottom| field(n, bottom)));
        let at = Timestamp(900_000 + i64::from(n) * 3_600);
        AccessUnit {
            pts: at,
            dts: at,
            idr: n == 0,
            data: annex_b_of(nals.iter().map(Vec::as_slice)),
        }
    });
    pictures.collect()
}

fn field(picture: u32, bottom: bool) -> Vec<u8> {
    let idr = picture == 0 && !bottom;
    let mut bits = Bits(Vec::new());
    bits.put(if idr { 0x65 } else { 0x61 }, 8);
    bits.ue(0).ue(7).ue(0).put(picture % 16, 4);
    bits.put(1, 1).put(u32::from(bottom), 1);
    match idr {
        true => bits.ue(0).put(0b00, 2),
        false => bits.put(0, 1),
    };
    // The quantiser as it was, no deblocking.
    bits.ue(0).ue(1);
    let bar = (2 * picture + u32::from(bottom)) * 3 % 64;
    for macroblock in 0..8 {
        bits.ue(25);
        bits.0.resize(bits.0.len().next_multiple_of(8), false);
        for sample in 0..256 {
            let x = macroblock % 4 * 16 + sample % 16;
            let lit = (x + 64 - bar) % 64 < 12;
            bits.put(if lit { 200 } else { 60 }, 8);
        }
        for _ in 0..128 {
            bits.put(128, 8);
        }
    }
    bits.put(1, 1).bytes()
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
