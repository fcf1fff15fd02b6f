//! Bit strings as H.264 writes them: fixed fields, Exp-Golomb codes.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

/// Reads bits, most significant first; `None` past the end.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte.wrapping_shl(u32::try_from(self.at % 8).ok()?) & 0x80 != 0;
        self.at = self.at.checked_add(1)?;
        Some(bit)
    }

    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count {
            value = value.wrapping_shl(1) | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// `ue(v)`, below 2^31.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0u32;
        while !self.bit()? {
            zeros = zeros.checked_add(1).filter(|z| *z < 31)?;
        }
        let base = 1u32.wrapping_shl(zeros);
        (base | self.bits(zeros)?).checked_sub(1)
    }
}

/// Writes bits, most significant first.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    used: u32,
}

impl BitWriter {
    pub(super) fn bit(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit).wrapping_shl(7u32.saturating_sub(self.used));
        }
        self.used = self.used.wrapping_add(1) % 8;
    }

    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for i in (0..count).rev() {
            self.bit(value.wrapping_shr(i) & 1 == 1);
        }
    }

    pub(super) fn ue(&mut self, value: u32) {
        let coded = value.saturating_add(1);
        let length = 32u32.saturating_sub(coded.leading_zeros());
        self.bits(0, length.saturating_sub(1));
        self.bits(coded, length);
    }

    /// The stop bit, zeros to the next byte, and the bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bit(true);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(fields in prop::collection::vec((0u32..0x7fff_fff0, any::<bool>()), 0..40)) {
            let mut w = BitWriter::default();
            for (value, flag) in &fields {
                w.ue(*value);
                w.bit(*flag);
                w.bits(*value, 31);
            }
            let bytes = w.finish();
            let mut r = BitReader::new(&bytes);
            for (value, flag) in &fields {
                prop_assert_eq!(r.ue(), Some(*value));
                prop_assert_eq!(r.bit(), Some(*flag));
                prop_assert_eq!(r.bits(31), Some(*value));
            }
        }
    }
}
