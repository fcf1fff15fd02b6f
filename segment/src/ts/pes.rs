//! The header of a packetized elementary stream: where timestamps stand.

use crate::time::Timestamp;

use super::WRAP;

/// Stream id of the first video stream.
pub(super) const VIDEO: u8 = 0xe0;
/// Stream id of the first audio stream.
pub(super) const AUDIO: u8 = 0xc0;
/// The longest header that is written.
const MAX_HEADER: usize = 19;

/// A PES header ready to be written.
pub(super) struct Header {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl Header {
    /// The header of a unit with `payload` bytes. DTS is left out where it equals PTS. A unit
    /// too long for the length field, which only video may have, is written without length.
    pub(super) fn new(stream: u8, pts: Timestamp, dts: Timestamp, payload: usize) -> Self {
        let fields: u8 = if pts == dts { 5 } else { 10 };
        let length = u16::try_from(payload + usize::from(fields) + 3)
            .unwrap_or(0)
            .to_be_bytes();
        // Aligned: the unit begins with an access unit or an audio frame.
        let mut bytes = [0; MAX_HEADER];
        bytes[..6].copy_from_slice(&[0, 0, 1, stream, length[0], length[1]]);
        bytes[6..9].copy_from_slice(&[0x84, if pts == dts { 0x80 } else { 0xc0 }, fields]);
        bytes[9..14].copy_from_slice(&timestamp(if pts == dts { 2 } else { 3 }, pts));
        bytes[14..].copy_from_slice(&timestamp(1, dts));
        Self {
            bytes,
            len: 9 + usize::from(fields),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// 33 bits as they stand on the wire, split by marker bits.
fn timestamp(prefix: u8, t: Timestamp) -> [u8; 5] {
    let [_, _, _, high, a, b, c, d] = t.0.rem_euclid(WRAP).to_be_bytes();
    [
        (prefix << 4) | (high << 3) | ((a & 0xc0) >> 5) | 1,
        (a << 2) | (b >> 6),
        (b << 2) | ((c & 0x80) >> 6) | 1,
        (c << 1) | (d >> 7),
        (d << 1) | 1,
    ]
}

pub(super) use parse::parse;

/// The reading half: what it sees came from a peer.
#[deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
mod parse {
    /// What a PES header says.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Parsed<'a> {
        /// 33 bits.
        pub(crate) pts: Option<u64>,
        /// 33 bits.
        pub(crate) dts: Option<u64>,
        /// Bytes of payload, if the header says.
        pub(crate) len: Option<usize>,
        /// What stands behind the header in this packet.
        pub(crate) payload: &'a [u8],
    }

    /// Reads the header at the start of a unit; `None` if it is none, or does not fit into the
    /// packet (it always does where a person is not trying to break a reader).
    pub(crate) fn parse(packet: &[u8]) -> Option<Parsed<'_>> {
        let &[
            0,
            0,
            1,
            _stream,
            high,
            low,
            marker,
            flags,
            fields,
            ref rest @ ..,
        ] = packet
        else {
            return None;
        };
        if marker & 0xc0 != 0x80 {
            return None;
        }
        let (fields, payload) = rest.split_at_checked(usize::from(fields))?;
        let pts = if flags & 0x80 == 0 {
            None
        } else {
            fields.get(..5).and_then(timestamp)
        };
        let dts = if flags & 0xc0 == 0xc0 {
            fields.get(5..10).and_then(timestamp)
        } else {
            None
        };
        let len = match usize::from(u16::from_be_bytes([high, low])) {
            0 => None,
            // The length counts the three bytes of flags and the fields.
            len => Some(len.checked_sub(fields.len().saturating_add(3))?),
        };
        Some(Parsed {
            pts,
            dts,
            len,
            payload,
        })
    }

    fn timestamp(bytes: &[u8]) -> Option<u64> {
        let &[a, b, c, d, e] = bytes else { return None };
        // Each part ends with a marker bit.
        if a & c & e & 1 == 0 {
            return None;
        }
        let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
        Some(((a & 0xe) << 29) | (b << 22) | ((c & 0xfe) << 14) | (d << 7) | (e >> 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_what_was_written_over_the_whole_range() {
        for pts in [
            0,
            1,
            900_000,
            (1 << 32) - 1,
            0x1_5555_5555,
            WRAP - 1,
            WRAP,
            5 * WRAP + 7,
        ] {
            let dts = pts - 1;
            let header = Header::new(VIDEO, Timestamp(pts), Timestamp(dts), 10);
            let parsed = parse(header.as_slice()).unwrap();
            assert_eq!(parsed.pts, u64::try_from(pts.rem_euclid(WRAP)).ok());
            assert_eq!(parsed.dts, u64::try_from(dts.rem_euclid(WRAP)).ok());
            assert_eq!(parsed.len, Some(10));
            assert!(parsed.payload.is_empty());
        }
    }

    #[test]
    fn long_units_have_no_length_and_equal_times_no_dts() {
        let header = Header::new(VIDEO, Timestamp(7), Timestamp(7), 70_000);
        let parsed = parse(header.as_slice()).unwrap();
        assert_eq!((parsed.pts, parsed.dts, parsed.len), (Some(7), None, None));
    }
}
