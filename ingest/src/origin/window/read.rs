//! What players get to see of a window.

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName, Sequence};

use super::Window;
use super::slot::Slot;
use super::track::Track;
use crate::origin::info::Rendered;
use crate::origin::muxed::Halves;

/// What one rendition lists.
#[derive(Debug)]
pub(in crate::origin) struct List<'a> {
    pub(in crate::origin) track: &'a Track,
    pub(in crate::origin) target: u32,
    /// Discontinuities that left the list.
    pub(in crate::origin) discontinuities: u64,
    /// The segments, and whether each is media.
    pub(in crate::origin) slots: Vec<(&'a Slot, bool)>,
    /// Nothing will follow.
    pub(in crate::origin) ended: bool,
}

impl Window {
    pub(super) fn position(&self, sequence: Sequence) -> Option<usize> {
        self.slots
            .binary_search_by_key(&sequence, |slot| slot.info.sequence)
            .ok()
    }

    /// The media of a segment that is or was listed.
    pub(in crate::origin) fn media(
        &self,
        epoch: Epoch,
        name: &RenditionName,
        sequence: Sequence,
    ) -> Option<Bytes> {
        let slot = self.slots.get(self.position(sequence)?)?;
        let listed = epoch != self.epoch
            || self
                .tracks
                .iter()
                .any(|t| t.name == *name && sequence < t.next);
        match slot.get(name) {
            Some(Rendered::Media(bytes)) if slot.epoch == epoch && listed => Some(bytes.clone()),
            _ => None,
        }
    }

    /// What a segment with the audio inside is made of.
    pub(in crate::origin) fn halves(
        &self,
        epoch: Epoch,
        name: &RenditionName,
        sequence: Sequence,
    ) -> Option<Halves> {
        let audio = RenditionName::audio();
        let slot = self.slots.get(self.position(sequence)?)?;
        // A segment without sound in an epoch that has some is none without a track for it: the
        // tables of a stream do not change.
        let silent = || slot.get(&audio).map(|_| Bytes::new());
        let inside = || self.media(epoch, &audio, sequence).or_else(silent);
        Some(Halves {
            video: self.media(epoch, name, sequence)?,
            audio: (*name != audio).then(inside).flatten(),
            mux: self.packager.mux(),
        })
    }

    /// What a rendition lists, and whether each is media in it. `None` if there is no such
    /// rendition, or nothing is listed yet.
    pub(in crate::origin) fn list(&self, name: &RenditionName) -> Option<List<'_>> {
        let track = self.tracks.iter().find(|t| t.name == *name)?;
        let slots: Vec<_> = self
            .slots
            .range(self.unlisted..)
            .take_while(|slot| slot.epoch != self.epoch || slot.info.sequence < track.next)
            .map(|slot| (slot, matches!(slot.get(name), Some(Rendered::Media(_)))))
            .collect();
        let complete = slots.len() == self.slots.len().saturating_sub(self.unlisted);
        if slots.is_empty() {
            return None;
        }
        Some(List {
            track,
            target: self.target,
            discontinuities: self.discontinuities,
            slots,
            ended: self.ended && complete,
        })
    }

    /// The discontinuity number of the newest segment; before the epoch's first, the one that it
    /// will have.
    pub(in crate::origin) fn discontinuity(&self) -> u64 {
        let listed = self.slots.range(self.unlisted..);
        let count = listed.filter(|slot| slot.info.discontinuity).count() as u64;
        self.discontinuities + count + u64::from(self.beginning)
    }

    /// Something is listed in every rendition.
    pub(in crate::origin) fn ready(&self) -> bool {
        self.tracks.iter().all(|t| self.list(&t.name).is_some())
    }
}
