//! Emulation prevention: bytes that keep a payload from holding a start code. The same in H.264 and
//! HEVC.

/// The payload of a NAL unit without emulation prevention bytes.
pub fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut zeros = 0u8;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 {
            zeros.saturating_add(1)
        } else {
            0
        };
        out.push(byte);
    }
    out
}

/// Appends a payload to a NAL unit, with emulation prevention bytes.
pub fn escape(payload: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0u8;
    for &byte in payload {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 {
            zeros.saturating_add(1)
        } else {
            0
        };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaped_payloads_hold_no_start_code(bytes in prop::collection::vec(0u8..5, 0..60)) {
            let mut out = Vec::new();
            escape(&bytes, &mut out);
            prop_assert!(out.windows(3).all(|w| !matches!(w, [0, 0, 0..=2])));
            prop_assert_eq!(unescape(&out), bytes);
        }
    }
}
