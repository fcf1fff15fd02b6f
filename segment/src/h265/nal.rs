//! Kinds of NAL units.

/// The kinds of NAL unit that matter without decoding (`nal_unit_type`, Table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalType {
    /// A slice of a picture at which no decoder can begin.
    Slice,
    /// 16 to 18 and 21: one at which a decoder can begin, though pictures that follow may refer to what
    /// was before.
    Irap,
    /// 19 and 20: one after which nothing refers to anything before.
    Idr,
    /// 32: video parameter set.
    Vps,
    /// 33: sequence parameter set.
    Sps,
    /// 34: picture parameter set.
    Pps,
    /// 35: access unit delimiter.
    Delimiter,
    /// 39 and 40: supplemental enhancement information, before and behind the picture.
    Sei,
    /// Anything else.
    Other(u8),
}

impl NalType {
    /// From the first byte of a NAL unit.
    pub fn of(header: u8) -> Self {
        match (header >> 1) & 0x3f {
            19 | 20 => Self::Idr,
            16..=18 | 21 => Self::Irap,
            0..=9 => Self::Slice,
            32 => Self::Vps,
            33 => Self::Sps,
            34 => Self::Pps,
            35 => Self::Delimiter,
            39 | 40 => Self::Sei,
            other => Self::Other(other),
        }
    }

    /// It is part of a picture.
    pub fn is_picture(self) -> bool {
        matches!(self, Self::Slice | Self::Irap | Self::Idr)
    }
}
