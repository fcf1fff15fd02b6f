//! What one PID carries, put together: sections of a table, or the units of a stream.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::BytesMut;

use super::bounds::{Damage, Limits, count};
use super::packet::{Arrival, Continuity, Packet};
use super::psi::Sections;
use super::{TsError, pes};

/// A PID that carries sections.
#[derive(Default)]
pub(super) struct Table<'a> {
    continuity: Continuity<'a>,
    sections: Sections,
}

/// A PID that carries units.
#[derive(Default)]
pub(super) struct Stream<'a> {
    pub(super) continuity: Continuity<'a>,
    pub(super) unit: Option<Unit>,
    /// The unit's payload so far; for audio, behind what the unit before left over.
    pub(super) buffer: BytesMut,
}

/// The PES unit that is being put together.
pub(super) struct Unit {
    pub(super) pts: Option<u64>,
    pub(super) dts: Option<u64>,
    /// Bytes that are still to come, if the header said how many there are.
    missing: Option<usize>,
    pub(super) len: usize,
}

impl Unit {
    /// Whether nothing is known to be missing.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_none_or(|missing| missing == 0)
    }
}

impl<'a> Table<'a> {
    pub(super) fn packet(
        &mut self,
        packet: &Packet<'a>,
        damage: &mut Damage,
        found: impl FnMut(&[u8]),
    ) {
        match self.continuity.check(packet) {
            Arrival::Duplicate => return,
            Arrival::Gap => {
                count(&mut damage.gaps);
                self.sections.reset();
            }
            Arrival::Next => {}
        }
        let bad = self.sections.push(packet.unit_start, packet.payload, found);
        damage.tables = damage.tables.saturating_add(bad);
    }
}

impl Stream<'_> {
    /// Begins a unit with the first packet's payload.
    pub(super) fn begin(
        &mut self,
        payload: &[u8],
        damage: &mut Damage,
        limits: &Limits,
    ) -> Result<(), TsError> {
        let Some(header) = pes::parse(payload) else {
            count(&mut damage.units);
            return Ok(());
        };
        self.unit = Some(Unit {
            pts: header.pts,
            dts: header.dts,
            missing: header.len,
            len: 0,
        });
        self.extend(header.payload, limits)
    }

    pub(super) fn extend(&mut self, payload: &[u8], limits: &Limits) -> Result<(), TsError> {
        let Some(unit) = &mut self.unit else {
            return Ok(());
        };
        let take = unit.missing.map_or(payload.len(), |m| m.min(payload.len()));
        unit.missing = unit.missing.map(|m| m.saturating_sub(take));
        unit.len = unit.len.saturating_add(take);
        if unit.len > limits.access_unit {
            return Err(TsError::AccessUnitTooLarge(limits.access_unit));
        }
        self.buffer
            .extend_from_slice(payload.get(..take).unwrap_or(payload));
        Ok(())
    }

    /// What is missing of the unit will not come: only one that is known to be whole is kept.
    pub(super) fn give_up_partial(&mut self) {
        if let Some(unit) = &mut self.unit {
            unit.missing = unit.missing.or(Some(usize::MAX));
        }
    }
}
