//! NAL units in Annex B form.

use memchr::memmem;

pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The kinds of NAL unit that matter without decoding (`nal_unit_type`, Table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalType {
    /// 1 to 4: a slice of a picture that is not IDR.
    Slice,
    /// 5: a slice of an IDR picture.
    Idr,
    /// 6: supplemental enhancement information.
    Sei,
    /// 7: sequence parameter set.
    Sps,
    /// 8: picture parameter set.
    Pps,
    /// 9: access unit delimiter.
    Delimiter,
    /// Anything else.
    Other(u8),
}

impl NalType {
    /// From the first byte of a NAL unit.
    pub fn of(header: u8) -> Self {
        match header & 0x1f {
            1..=4 => Self::Slice,
            5 => Self::Idr,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            other => Self::Other(other),
        }
    }

    /// Whether it is part of a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Slice | Self::Idr)
    }

    fn of_unit(nal: &[u8]) -> Option<Self> {
        nal.first().map(|&header| Self::of(header))
    }
}

/// The NAL units of Annex B bytes, without start codes and without the zero bytes that may
/// stand between them. Bytes before the first start code are skipped; empty units are left
/// out.
pub fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(annex_b);
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            let end = memmem::find(current, &[0, 0, 1]);
            let (nal, next) = match end.and_then(|at| current.split_at_checked(at)) {
                Some((nal, next)) => (nal, next.get(3..)),
                None => (current, None),
            };
            rest = next;
            let nal = trim_zeros(nal);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

/// The type of the first NAL unit.
pub fn first_nal_type(annex_b: &[u8]) -> Option<NalType> {
    nal_types(annex_b).next()
}

/// The types of the NAL units, found without looking for the end of the last one read: asking
/// for the first few costs nothing for a large picture behind them.
fn nal_types(annex_b: &[u8]) -> impl Iterator<Item = NalType> {
    headers(annex_b).map(NalType::of)
}

/// The first byte of each NAL unit, whatever it is coded in.
pub(crate) fn headers(annex_b: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = annex_b;
    std::iter::from_fn(move || {
        rest = after_start_code(rest)?;
        rest.first().copied()
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    memmem::find(bytes, &[0, 0, 1]).and_then(|at| bytes.get(at.checked_add(3)?..))
}

pub(super) fn trim_zeros(mut nal: &[u8]) -> &[u8] {
    while let [head @ .., 0] = nal {
        nal = head;
    }
    nal
}

/// Whether the access unit's picture is IDR: decided by its first slice.
pub fn is_idr(annex_b: &[u8]) -> bool {
    nal_types(annex_b).find(|t| t.is_slice()) == Some(NalType::Idr)
}

/// Whether the access unit holds a picture at all.
pub fn has_picture(annex_b: &[u8]) -> bool {
    nal_types(annex_b).any(NalType::is_slice)
}

/// The NAL units that stand before the first slice.
pub fn before_picture(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_units(annex_b).take_while(|nal| !NalType::of_unit(nal).is_some_and(NalType::is_slice))
}

/// The first SPS and the first PPS that stand before the first slice.
pub fn parameter_sets(annex_b: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let (mut sps, mut pps) = (None, None);
    for nal in before_picture(annex_b) {
        match NalType::of_unit(nal) {
            Some(NalType::Sps) => sps = sps.or(Some(nal)),
            Some(NalType::Pps) => pps = pps.or(Some(nal)),
            _ => {}
        }
    }
    (sps, pps)
}

/// The access unit without the access unit delimiter that may stand in front: the delimiter is
/// the transport's, not the picture's. What follows begins with a start code.
pub fn strip_delimiter(annex_b: &[u8]) -> &[u8] {
    strip(annex_b, |header| NalType::of(header) == NalType::Delimiter)
}

/// The access unit without its first NAL unit, if that begins so and another follows.
pub(crate) fn strip(annex_b: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    let Some(delimiter) = after_start_code(annex_b) else {
        return annex_b;
    };
    if !delimiter.first().is_some_and(|header| unwanted(*header)) {
        return annex_b;
    }
    let Some(at) = memmem::find(delimiter, &[0, 0, 1]) else {
        return annex_b;
    };
    // A four-byte start code keeps its leading zero.
    let at = match at
        .checked_sub(1)
        .map(|before| (before, delimiter.get(before)))
    {
        Some((before, Some(0))) => before,
        _ => at,
    };
    delimiter.get(at..).unwrap_or(annex_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_with_either_start_code() {
        let bytes = [
            9, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 3,
        ];
        let units: Vec<_> = nal_units(&bytes).collect();
        assert_eq!(units, [&[0x67u8, 1][..], &[0x68, 2], &[0x65, 3]]);
        assert!(is_idr(&bytes));
        assert_eq!(
            parameter_sets(&bytes),
            (Some(&[0x67u8, 1][..]), Some(&[0x68u8, 2][..]))
        );
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        for bytes in [&[][..], &[0], &[0, 0, 1], &[0, 0, 0, 1, 0, 0, 0]] {
            assert_eq!(nal_units(bytes).count(), 0, "{bytes:?}");
            assert!(!is_idr(bytes) && !has_picture(bytes));
        }
    }

    #[test]
    fn a_delimiter_is_taken_off_and_nothing_else() {
        let slice = [0, 0, 0, 1, 0x65, 1, 2];
        let delimited = [&[0, 0, 0, 1, 9, 0xf0][..], &slice].concat();
        assert_eq!(strip_delimiter(&delimited), slice);
        assert_eq!(strip_delimiter(&slice), slice);
        let lonely = [0, 0, 0, 1, 9, 0xf0];
        assert_eq!(strip_delimiter(&lonely), lonely);
    }
}
