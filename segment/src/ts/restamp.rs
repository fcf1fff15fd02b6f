//! Continuity counters, rewritten in place.
//!
//! Transcode nodes know nothing of one another: each begins its counters at 0. A player that
//! reads two of their segments in a row would see packets lost at the seam. The ingest
//! therefore shifts the counters of each segment so that they follow the segment before.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use super::{NULL_PID, PACKET, SYNC, TsError};

/// More PIDs than any segment has; bounds what a stream can make us remember.
const MAX_PIDS: usize = 32;

/// The last counter of every PID of one rendition.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    last: Vec<(u16, u8)>,
}

/// Shifts the continuity counters of a segment so that it follows the segments that `counters`
/// saw before. Within the segment they keep their distances: doubled or lost packets stay
/// what they were.
///
/// # Errors
/// Bytes that are not whole packets, or more PIDs than a program can have. Nothing was changed
/// then, neither the bytes nor the counters.
pub fn restamp(ts: &mut [u8], counters: &mut Counters) -> Result<(), TsError> {
    let (packets, rest) = ts.as_chunks_mut::<PACKET>();
    if !rest.is_empty() || packets.iter().any(|p| p.first() != Some(&SYNC)) {
        return Err(TsError::NoSync);
    }
    let mut next = counters.last.clone();
    // How far the counters of a PID are shifted in this segment.
    let mut shifts: Vec<(u16, u8)> = Vec::new();
    for packet in packets.iter() {
        let &[_, high, low, control, ..] = packet;
        let pid = u16::from_be_bytes([high & 0x1f, low]);
        if pid == NULL_PID {
            continue;
        }
        let shift = match shifts.iter().find(|(p, _)| *p == pid) {
            Some((_, shift)) => *shift,
            None => {
                // Only a packet with payload counts on.
                let step = (control >> 4) & 1;
                let last = next.iter().find(|(p, _)| *p == pid).map(|(_, last)| *last);
                let shift = match last {
                    Some(last) => last.wrapping_add(step).wrapping_sub(control) & 0xf,
                    None => 0,
                };
                shifts.push((pid, shift));
                shift
            }
        };
        let counter = control.wrapping_add(shift) & 0xf;
        if let Some((_, last)) = next.iter_mut().find(|(p, _)| *p == pid) {
            *last = counter;
        } else if next.len() < MAX_PIDS {
            next.push((pid, counter));
        } else {
            return Err(TsError::TooManyPids(MAX_PIDS));
        }
    }
    for packet in packets {
        let [_, high, low, control, ..] = packet;
        let pid = u16::from_be_bytes([*high & 0x1f, *low]);
        if let Some((_, shift)) = shifts.iter().find(|(p, _)| *p == pid) {
            *control = (*control & 0xf0) | (control.wrapping_add(*shift) & 0xf);
        }
    }
    counters.last = next;
    Ok(())
}
