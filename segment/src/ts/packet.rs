//! Packets: found in bytes, opened, and checked for gaps.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use super::{PACKET, SYNC};

/// The packets of a byte sequence; finds its way back after bytes that are none.
pub(super) struct Packets<'a> {
    rest: &'a [u8],
    lost: u32,
}

impl<'a> Packets<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            lost: 0,
        }
    }

    /// Bytes that were not looked at yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// How many runs of bytes were skipped.
    pub(super) fn lost_sync(&self) -> u32 {
        self.lost
    }

    /// Leads to the next place where packets follow one another, three or up to the end: a
    /// byte of payload may look like one.
    fn resync(&mut self) -> Option<()> {
        let rest = self.rest;
        let at = memchr::memchr_iter(SYNC, rest).find(|&at| {
            [1usize, 2].iter().all(|n| {
                let next = n.saturating_mul(PACKET).saturating_add(at);
                rest.get(next)
                    .map_or(next >= rest.len(), |&byte| byte == SYNC)
            }) && rest.len().saturating_sub(at) >= PACKET
        });
        self.rest = at.and_then(|at| rest.get(at..)).unwrap_or_default();
        at.map(|_| ())
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8; PACKET];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if self.rest.first() != Some(&SYNC) || self.rest.len() < PACKET {
            self.lost = self.lost.saturating_add(1);
            self.resync()?;
        }
        let (packet, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(packet)
    }
}

/// What a packet says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// A PES unit or a section begins in it.
    pub(super) unit_start: bool,
    /// Empty where the packet has only an adaptation field.
    pub(super) payload: &'a [u8],
    /// Only a packet with payload counts on.
    counts: bool,
    counter: u8,
    /// The counter may jump here.
    discontinuity: bool,
}

impl<'a> Packet<'a> {
    /// Opens a packet; `None` if it is marked as damaged, scrambled or malformed.
    pub(super) fn parse(packet: &'a [u8; PACKET]) -> Option<Self> {
        let &[_, high, low, control, ref rest @ ..] = packet;
        let damaged = high & 0x80 != 0;
        let scrambled = control & 0xc0 != 0;
        let (adaptation, payload) = match (control >> 4) & 3 {
            1 => (&[][..], &rest[..]),
            2 | 3 => {
                let (&len, rest) = rest.split_first()?;
                rest.split_at_checked(usize::from(len))?
            }
            _ => return None,
        };
        if damaged || scrambled {
            return None;
        }
        Some(Self {
            pid: u16::from_be_bytes([high & 0x1f, low]),
            unit_start: high & 0x40 != 0,
            payload: if control & 0x10 == 0 { &[] } else { payload },
            counts: control & 0x10 != 0,
            counter: control & 0xf,
            discontinuity: adaptation.first().is_some_and(|flags| flags & 0x80 != 0),
        })
    }
}

/// How a packet follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// As it should.
    Next,
    /// It is the one before it, sent twice, or it has no payload.
    Duplicate,
    /// Packets between them are missing.
    Gap,
}

/// Follows the continuity counter of one PID.
#[derive(Debug, Clone, Default)]
pub(super) struct Continuity<'a> {
    last: Option<(u8, &'a [u8])>,
}

impl<'a> Continuity<'a> {
    pub(super) fn check(&mut self, packet: &Packet<'a>) -> Arrival {
        if !packet.counts {
            // A discontinuity may be announced ahead of its packet.
            if packet.discontinuity {
                self.last = None;
            }
            return Arrival::Duplicate;
        }
        let before = self.last.replace((packet.counter, packet.payload));
        match before {
            _ if packet.discontinuity => Arrival::Next,
            None => Arrival::Next,
            Some((last, _)) if packet.counter == last.wrapping_add(1) & 0xf => Arrival::Next,
            Some(same) if same == (packet.counter, packet.payload) => Arrival::Duplicate,
            Some(_) => Arrival::Gap,
        }
    }
}
