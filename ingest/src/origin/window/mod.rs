//! A stream's segments, from the oldest that is kept to the newest, and what is listed of
//! them.
//!
//! One window is shared by all renditions, so that their media sequence numbers and
//! discontinuity sequence numbers agree at any moment. A segment is *settled* in a rendition
//! once it is media or a gap there, and stays that; a rendition lists the segments of the
//! window up to the first that is not settled. What leaves the window unsettled becomes a gap,
//! so that nothing waits for ever, whoever forgot it.
//!
//! Pure: no clock, no lock.

mod bounds;
mod read;
mod slot;
mod track;

pub(super) use bounds::Bounds;
pub(super) use read::List;
pub(super) use track::Track;

use std::collections::VecDeque;

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName, Sequence};
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks};

use super::info::{Rendered, SegmentInfo, StreamInfo};
use super::packager::Packager;
use slot::Slot;
use track::tracks;

/// What became of a change, for the metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    /// Segments that are media now.
    pub(super) media: usize,
    /// Segments that are gaps now.
    pub(super) gaps: usize,
    /// Those of them that transcoders made larger than `BANDWIDTH` said.
    pub(super) larger: usize,
}

/// The segments of one stream.
#[derive(Debug)]
pub(super) struct Window {
    bounds: Bounds,
    epoch: Epoch,
    target: u32,
    tracks: Vec<Track>,
    packager: Box<dyn Packager>,
    slots: VecDeque<Slot>,
    /// Slots in front that are kept but listed no more.
    unlisted: usize,
    discontinuities: u64,
    bytes: usize,
    next: Sequence,
    /// The next segment begins an epoch.
    beginning: bool,
    ended: bool,
}

impl Window {
    pub(super) fn new(
        bounds: Bounds,
        epoch: Epoch,
        info: &StreamInfo,
        packager: Box<dyn Packager>,
    ) -> Self {
        Self {
            bounds,
            epoch,
            target: info.target_duration,
            tracks: tracks(info),
            packager,
            slots: VecDeque::new(),
            unlisted: 0,
            discontinuities: info.first_discontinuity,
            bytes: 0,
            next: info.first_sequence,
            beginning: false,
            ended: false,
        }
    }

    /// Whether an epoch may go on in the same playlists: RFC 8216 lets nothing follow an end, no
    /// number come again, and the target duration not change. Nor where the publisher's own pictures
    /// or its sound are gone: players of nothing else give up for good if their playlist is not found,
    /// and end in peace where it ends.
    pub(super) fn can_carry_on(&self, info: &StreamInfo) -> bool {
        let stays = |track: &Track| match track.name == RenditionName::audio() {
            true => info.audio.is_some(),
            false => info.video.is_some(),
        };
        !self.ended
            && info.first_sequence >= self.next
            && info.target_duration <= self.target
            && self.tracks.iter().filter(|track| track.own).all(stays)
    }

    /// Goes on with another epoch, whose renditions may be others. What the epoch before left
    /// open is settled as gaps. Only where it [can](Self::can_carry_on).
    pub(super) fn carry_on(
        &mut self,
        epoch: Epoch,
        info: &StreamInfo,
        packager: Box<dyn Packager>,
    ) -> Published {
        let published = self.settle_all();
        if info.first_sequence != self.next {
            // A playlist cannot have a hole in its numbers: it begins anew.
            while self.unlisted < self.slots.len() {
                self.unlist();
            }
            self.next = info.first_sequence;
            // Whoever had the numbers between has counted on as well; the next segment adds one.
            let by_clock = info.first_discontinuity.saturating_sub(1);
            self.discontinuities = self.discontinuities.max(by_clock);
        }
        self.epoch = epoch;
        self.tracks = tracks(info);
        self.packager = packager;
        self.beginning = true;
        published
    }

    /// Nothing follows, and nothing is waited for any more.
    pub(super) fn end_here(&mut self) -> Published {
        self.ended = true;
        self.settle_all()
    }

    /// Adds a segment. `None` where the window does not take it: not of this epoch, or not the
    /// next one.
    pub(super) fn add(
        &mut self,
        epoch: Epoch,
        mut info: SegmentInfo,
        source: Option<Bytes>,
        audio: Option<Bytes>,
    ) -> Option<Published> {
        if epoch != self.epoch || info.sequence != self.next || self.ended {
            return None;
        }
        info.discontinuity |= std::mem::take(&mut self.beginning);
        self.next = self.next.next();
        let mut media = Vec::with_capacity(self.tracks.len());
        let mut own = [
            (RenditionName::source(), source),
            (RenditionName::audio(), audio),
        ];
        for track in &self.tracks {
            if let Some((name, bytes)) = own.iter_mut().find(|(name, _)| *name == track.name) {
                let rendered = bytes.take().map_or(Rendered::Gap, Rendered::Media);
                media.push((name.clone(), rendered));
            } else if !info.independent {
                media.push((track.name.clone(), Rendered::Gap));
            }
        }
        let slot = Slot { epoch, info, media };
        self.bytes = self.bytes.saturating_add(slot.bytes());
        self.slots.push_back(slot);
        let mut published = self.publish();
        published += self.trim();
        Some(published)
    }

    /// Settles a segment in a rendition of the ladder. `None`: it is settled already, or gone.
    pub(super) fn settle(
        &mut self,
        epoch: Epoch,
        sequence: Sequence,
        name: &RenditionName,
        rendered: Rendered,
    ) -> Option<Published> {
        let at = self.position(sequence)?;
        let slot = self.slots.get_mut(at)?;
        let asked = epoch == self.epoch && self.tracks.iter().any(|t| t.name == *name);
        if slot.epoch != epoch || !asked || slot.get(name).is_some() {
            return None;
        }
        self.bytes = self.bytes.saturating_add(rendered.len());
        slot.media.push((name.clone(), rendered));
        let mut published = self.publish();
        published += self.trim();
        Some(published)
    }

    /// No segment follows.
    pub(super) fn end(&mut self, epoch: Epoch) {
        self.ended |= epoch == self.epoch;
    }

    /// Lists in each rendition what is settled now.
    fn publish(&mut self) -> Published {
        let mut published = Published::default();
        let target = self.target();
        for track in &mut self.tracks {
            let from = self
                .slots
                .partition_point(|slot| slot.info.sequence < track.next);
            for slot in self.slots.range_mut(from..) {
                let settled = slot.media.iter_mut().find(|(n, _)| *n == track.name);
                let Some((name, rendered)) = settled else {
                    break;
                };
                if !track.own
                    && let Rendered::Media(bytes) = rendered
                {
                    let size = bytes.len();
                    *rendered = match self.packager.follow(name, std::mem::take(bytes)) {
                        Ok(bytes) => Rendered::Media(bytes),
                        Err(error) => {
                            log::warn!(
                                rackcast_rendition = name.as_str(),
                                rackcast_segment = slot.info.sequence.0,
                                rackcast_reason = error.to_string();
                                "a rendition that cannot be packaged is a gap"
                            );
                            self.bytes = self.bytes.saturating_sub(size);
                            Rendered::Gap
                        }
                    };
                }
                match rendered {
                    Rendered::Media(bytes) => {
                        published.media += 1;
                        let (size, duration) = (bytes.len(), slot.info.duration);
                        let larger = track.rate.segment(size, duration, target);
                        published.larger += usize::from(larger && !track.own);
                    }
                    Rendered::Gap => {
                        published.gaps += 1;
                        track.rate.gap();
                    }
                }
                track.next = slot.info.sequence.next();
            }
        }
        published
    }

    /// Settles everything as it is: what has not come is a gap.
    fn settle_all(&mut self) -> Published {
        for slot in self.slots.iter_mut().filter(|s| s.epoch == self.epoch) {
            slot.settle(&self.tracks);
        }
        self.publish()
    }

    /// Whether its playlists have an end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn next_sequence(&self) -> Sequence {
        self.next
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn target(&self) -> Ticks {
        Ticks(i64::from(self.target).saturating_mul(TICKS_PER_SECOND))
    }
}

impl std::ops::AddAssign for Published {
    fn add_assign(&mut self, more: Self) {
        self.media += more.media;
        self.gaps += more.gaps;
        self.larger += more.larger;
    }
}
