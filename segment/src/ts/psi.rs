//! The two tables that say which PID is what: PAT and PMT.

use super::{NULL_PID, PACKET, SYNC};
use crate::media::Codec;

/// `stream_type` of H.264.
pub(super) const H264: u8 = 0x1b;
/// `stream_type` of HEVC.
pub(super) const HEVC: u8 = 0x24;
/// `stream_type` of AAC behind ADTS headers.
pub(super) const ADTS: u8 = 0x0f;

const PAT_TABLE: u8 = 0x00;
const PMT_TABLE: u8 = 0x02;
/// The longest section of either table, with its header.
const MAX_SECTION: usize = 1024;
/// The PID of the PAT.
pub(super) const PAT_PID: u16 = 0;
/// The PID of the PMT that is written.
pub(super) const PMT_PID: u16 = 0x1000;
const PROGRAM: u16 = 1;

/// The PIDs of a program as its PMT gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Program {
    pub(super) video: Option<u16>,
    pub(super) codec: Codec,
    pub(super) audio: Option<u16>,
    /// Streams that it has beside these.
    pub(super) others: u32,
}

/// CRC-32/MPEG-2: over a section with its checksum it is 0.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// A whole packet with the PAT.
pub(super) fn pat_packet(counter: u8) -> [u8; PACKET] {
    let [program, pid] = [PROGRAM.to_be_bytes(), PMT_PID.to_be_bytes()];
    let entry = [program[0], program[1], 0xe0 | pid[0], pid[1]];
    table_packet(PAT_PID, counter, PAT_TABLE, &entry)
}

/// A whole packet with the PMT.
pub(super) fn pmt_packet(counter: u8, program: Program) -> [u8; PACKET] {
    let pcr = program
        .video
        .or(program.audio)
        .unwrap_or(NULL_PID)
        .to_be_bytes();
    let mut body = vec![0xe0 | pcr[0], pcr[1], 0xf0, 0];
    let video = match program.codec {
        Codec::H264 => H264,
        Codec::Hevc => HEVC,
    };
    for (kind, pid) in [(video, program.video), (ADTS, program.audio)] {
        if let Some(pid) = pid {
            let pid = pid.to_be_bytes();
            body.extend_from_slice(&[kind, 0xe0 | pid[0], pid[1], 0xf0, 0]);
        }
    }
    table_packet(PMT_PID, counter, PMT_TABLE, &body)
}

/// One packet that holds one short section.
fn table_packet(pid: u16, counter: u8, table: u8, body: &[u8]) -> [u8; PACKET] {
    let [program, pid] = [PROGRAM.to_be_bytes(), pid.to_be_bytes()];
    // The length counts what follows it: five bytes of header, the body, the checksum.
    let len = u8::try_from(body.len() + 9).unwrap_or(u8::MAX);
    // Table, section syntax and length, id, version 0 and current, section 0 of 0.
    let mut section = vec![table, 0xb0, len, program[0], program[1], 0xc1, 0, 0];
    section.extend_from_slice(body);
    let checksum = crc(&section);
    section.extend_from_slice(&checksum.to_be_bytes());

    let mut packet = [0xff; PACKET];
    packet[..5].copy_from_slice(&[SYNC, 0x40 | pid[0], pid[1], 0x10 | (counter & 0xf), 0]);
    packet[5..5 + section.len()].copy_from_slice(&section);
    packet
}

/// Puts sections together from the payloads of one PID.
#[derive(Debug, Default)]
pub(super) struct Sections {
    partial: Vec<u8>,
}

pub(super) use parse::{pat, pmt};

/// The reading half: what it sees came from a peer.
#[deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
mod parse {
    use super::{
        ADTS, Codec, H264, HEVC, MAX_SECTION, PAT_TABLE, PMT_TABLE, Program, Sections, crc,
    };

    impl Sections {
        /// Forgets a section that was begun: packets were lost.
        pub(crate) fn reset(&mut self) {
            self.partial.clear();
        }

        /// Takes the payload of one packet; calls `found` with every section that is complete
        /// and whose checksum holds. Returns how many did not hold.
        pub(crate) fn push(
            &mut self,
            unit_start: bool,
            payload: &[u8],
            mut found: impl FnMut(&[u8]),
        ) -> u32 {
            let mut bad = 0u32;
            let mut rest = payload;
            if unit_start {
                // The pointer says where the first new section begins; what stands before
                // belongs to the one that was begun.
                let Some((&pointer, tail)) = payload.split_first() else {
                    return 0;
                };
                let Some((end, new)) = tail.split_at_checked(usize::from(pointer)) else {
                    self.reset();
                    return 1;
                };
                if !self.partial.is_empty() {
                    self.partial.extend_from_slice(end);
                    bad = bad.saturating_add(self.drain(&mut found));
                    self.reset();
                }
                rest = new;
            } else if self.partial.is_empty() {
                return 0;
            }
            self.partial.extend_from_slice(rest);
            bad.saturating_add(self.drain(&mut found))
        }

        fn drain(&mut self, found: &mut impl FnMut(&[u8])) -> u32 {
            let mut bad = 0u32;
            let mut rest = self.partial.as_slice();
            // 0xff instead of a table is stuffing to the end of the packet.
            while let &[table, high, low, ..] = rest {
                if table == 0xff {
                    rest = &[];
                    break;
                }
                let len = usize::from(u16::from_be_bytes([high & 0xf, low])).saturating_add(3);
                if len > MAX_SECTION {
                    bad = bad.saturating_add(1);
                    rest = &[];
                    break;
                }
                let Some((section, tail)) = rest.split_at_checked(len) else {
                    break;
                };
                if crc(section) == 0 {
                    found(section);
                } else {
                    bad = bad.saturating_add(1);
                }
                rest = tail;
            }
            if rest.first() == Some(&0xff) {
                rest = &[];
            }
            let kept = rest.len();
            let from = self.partial.len().saturating_sub(kept);
            self.partial.drain(..from);
            bad
        }
    }

    /// The body of a long-form section of this table that is in force: what stands between the
    /// header and the checksum.
    fn body(section: &[u8], table: u8) -> Option<&[u8]> {
        let [id, syntax, _, _, _, version, _, _, rest @ ..] = section else {
            return None;
        };
        let in_force = version & 1 == 1;
        if *id != table || syntax >> 7 != 1 || !in_force {
            return None;
        }
        rest.split_at_checked(rest.len().checked_sub(4)?)
            .map(|(body, _)| body)
    }

    /// The PMT's PID of the first program, and how many others there are.
    pub(crate) fn pat(section: &[u8]) -> Option<(u16, u32)> {
        let entries = body(section, PAT_TABLE)?.chunks_exact(4);
        let mut programs = entries.filter_map(|entry| match *entry {
            // Program 0 is the network's information.
            [0, 0, ..] => None,
            [_, _, high, low] => Some(u16::from_be_bytes([high & 0x1f, low])),
            _ => None,
        });
        let first = programs.next()?;
        Some((first, u32::try_from(programs.count()).unwrap_or(u32::MAX)))
    }

    /// The first H.264 or HEVC and the first AAC stream.
    pub(crate) fn pmt(section: &[u8]) -> Option<Program> {
        let [_, _, high, low, rest @ ..] = body(section, PMT_TABLE)? else {
            return None;
        };
        let mut rest = rest.get(usize::from(u16::from_be_bytes([high & 0xf, *low]))..)?;
        let mut program = Program::default();
        while let &[kind, pid_high, pid_low, high, low, ref tail @ ..] = rest {
            let pid = Some(u16::from_be_bytes([pid_high & 0x1f, pid_low]));
            match kind {
                H264 | HEVC if program.video.is_none() => {
                    program.video = pid;
                    program.codec = if kind == HEVC {
                        Codec::Hevc
                    } else {
                        Codec::H264
                    };
                }
                ADTS if program.audio.is_none() => program.audio = pid,
                _ => program.others = program.others.saturating_add(1),
            }
            rest = tail.get(usize::from(u16::from_be_bytes([high & 0xf, low]))..)?;
        }
        Some(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        video: Some(0x100),
        codec: Codec::Hevc,
        audio: Some(0x101),
        others: 0,
    };

    #[test]
    fn tables_read_what_was_written() {
        let mut found = Vec::new();
        let mut sections = Sections::default();
        assert_eq!(
            sections.push(true, &pat_packet(0)[4..], |s| found.push(pat(s))),
            0
        );
        assert_eq!(found, [Some((PMT_PID, 0))]);
        let mut found = Vec::new();
        assert_eq!(
            sections.push(true, &pmt_packet(3, PROGRAM)[4..], |s| found.push(pmt(s))),
            0
        );
        assert_eq!(found, [Some(PROGRAM)]);
    }

    #[test]
    fn what_is_passed_over_is_counted() {
        let read = |packet: [u8; PACKET]| {
            let mut found = Vec::new();
            Sections::default().push(true, &packet[4..], |s| found.push(s.to_vec()));
            found.remove(0)
        };
        let streams = [(H264, 0), (0x03, 1), (ADTS, 2), (ADTS, 3), (HEVC, 4)];
        let streams = streams
            .iter()
            .flat_map(|(kind, pid)| [*kind, 0xe1, *pid, 0xf0, 0]);
        let body: Vec<u8> = [0xe1, 0, 0xf0, 0].into_iter().chain(streams).collect();
        let found = pmt(&read(table_packet(PMT_PID, 0, PMT_TABLE, &body)));
        let expected = Program {
            video: Some(0x100),
            codec: Codec::H264,
            audio: Some(0x102),
            others: 3,
        };
        assert_eq!(found, Some(expected));
        let programs = [0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0, 0, 2, 0xf1, 0];
        let found = pat(&read(table_packet(PAT_PID, 0, PAT_TABLE, &programs)));
        assert_eq!(found, Some((0x1000, 1)));
    }

    #[test]
    fn a_section_may_span_packets_and_a_false_one_is_counted() {
        let packet = pmt_packet(0, PROGRAM);
        let section = &packet[5..5 + 26];
        for at in 1..section.len() {
            let mut sections = Sections::default();
            let mut found = Vec::new();
            let first = [&[0][..], &section[..at]].concat();
            sections.push(true, &first, |s| found.push(pmt(s)));
            sections.push(false, &section[at..], |s| found.push(pmt(s)));
            assert_eq!(found, [Some(PROGRAM)], "split at {at}");

            let mut broken = section.to_vec();
            broken[at] ^= 0x10;
            let mut sections = Sections::default();
            sections.push(true, &[&[0][..], &broken].concat(), |s| {
                assert_eq!(pmt(s), None);
            });
        }
    }
}
