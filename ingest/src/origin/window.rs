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

use std::collections::VecDeque;

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName, Sequence};
use rackcast_segment::time::{TICKS_PER_SECOND, Ticks};

use super::info::{Rendered, SegmentInfo, StreamInfo};
use super::packager::Packager;
use super::rate::Rate;

/// However short they are and however far a rendition is behind, no more than this many times
/// `listed` segments are listed.
const MAX_STRETCH: usize = 4;

/// How much is listed and kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) listed: usize,
    pub(super) kept: usize,
    pub(super) bytes: usize,
}

/// A segment in all renditions.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) epoch: Epoch,
    pub(super) info: SegmentInfo,
    media: Vec<(RenditionName, Rendered)>,
}

/// A rendition of the present epoch.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) name: RenditionName,
    /// The publisher's own video or audio: settled with the segment itself.
    own: bool,
    /// The first segment that it does not list yet.
    next: Sequence,
    pub(super) rate: Rate,
    /// Every segment so far began with an IDR.
    pub(super) independent: bool,
}

/// What became of a change, for the metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    /// Segments that are media now.
    pub(super) media: usize,
    /// Segments that are gaps now.
    pub(super) gaps: usize,
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

impl Slot {
    fn get(&self, name: &RenditionName) -> Option<&Rendered> {
        self.media.iter().find(|(n, _)| n == name).map(|(_, r)| r)
    }

    fn bytes(&self) -> usize {
        self.media.iter().map(|(_, r)| r.len()).sum()
    }
}

impl Rendered {
    fn len(&self) -> usize {
        match self {
            Self::Media(bytes) => bytes.len(),
            Self::Gap => 0,
        }
    }
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

    /// Goes on with another epoch, whose renditions may be others. What the epoch before left
    /// open is settled as gaps.
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
            if info.first_sequence < self.next {
                self.slots.clear();
                self.unlisted = 0;
                self.bytes = 0;
            }
            self.next = info.first_sequence;
        }
        self.epoch = epoch;
        self.target = self.target.max(info.target_duration);
        self.tracks = tracks(info);
        self.packager = packager;
        self.beginning = true;
        self.ended = false;
        published
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
        for track in &mut self.tracks {
            if let Some((name, bytes)) = own.iter_mut().find(|(name, _)| *name == track.name) {
                let rendered = bytes.take().map_or(Rendered::Gap, Rendered::Media);
                media.push((name.clone(), rendered));
                track.independent &= info.independent || *name == RenditionName::audio();
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
                        track.rate.segment(bytes.len(), slot.info.duration, target);
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
            settle_slot(slot, &self.tracks);
        }
        self.publish()
    }

    /// Takes the oldest segments off the list and forgets the oldest of all, as the bounds ask.
    fn trim(&mut self) -> Published {
        let mut published = Published::default();
        while self.list_is_long() {
            published += self.unlist();
        }
        while self.unlisted > self.bounds.kept || self.bytes > self.bounds.bytes {
            if self.unlisted == 0 {
                // The newest stays, however large it is.
                if self.slots.len() < 2 {
                    break;
                }
                published += self.unlist();
            }
            if let Some(slot) = self.slots.pop_front() {
                self.bytes = self.bytes.saturating_sub(slot.bytes());
                self.unlisted = self.unlisted.saturating_sub(1);
            }
        }
        published
    }

    /// There are more than enough segments, and without the first one every rendition would
    /// still list three target durations (RFC 8216, 6.2.2); or there are too many at any rate.
    fn list_is_long(&self) -> bool {
        let listed = self.slots.len().saturating_sub(self.unlisted);
        let open = self.tracks.iter().map(|t| t.next).min();
        let left = self
            .slots
            .iter()
            .skip(self.unlisted.saturating_add(1))
            .take_while(|slot| open.is_none_or(|open| slot.info.sequence < open))
            .map(|slot| slot.info.duration.0)
            .sum::<i64>();
        let long = left >= self.target().0.saturating_mul(3);
        listed > self.bounds.listed
            && (long || listed > self.bounds.listed.saturating_mul(MAX_STRETCH))
    }

    fn unlist(&mut self) -> Published {
        let Some(slot) = self.slots.get_mut(self.unlisted) else {
            return Published::default();
        };
        self.unlisted += 1;
        self.discontinuities += u64::from(slot.info.discontinuity);
        if slot.epoch == self.epoch {
            settle_slot(slot, &self.tracks);
        }
        self.publish()
    }

    fn position(&self, sequence: Sequence) -> Option<usize> {
        self.slots
            .binary_search_by_key(&sequence, |slot| slot.info.sequence)
            .ok()
    }

    /// The media of a segment that is or was listed.
    pub(super) fn media(
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

    /// Video and audio of a segment in one.
    pub(super) fn muxed(
        &self,
        epoch: Epoch,
        name: &RenditionName,
        sequence: Sequence,
    ) -> Option<Bytes> {
        let video = self.media(epoch, name, sequence)?;
        let audio = RenditionName::audio();
        if *name == audio {
            return Some(video);
        }
        match self.media(epoch, &audio, sequence) {
            Some(audio) => self.packager.mux(&video, &audio).ok(),
            None => Some(video),
        }
    }

    /// What a rendition lists, and whether each is media in it. `None` if there is no such
    /// rendition, or nothing is listed yet.
    pub(super) fn list(&self, name: &RenditionName) -> Option<List<'_>> {
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

    /// Something is listed in every rendition.
    pub(super) fn ready(&self) -> bool {
        self.tracks.iter().all(|t| self.list(&t.name).is_some())
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

/// What one rendition lists.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub(super) track: &'a Track,
    pub(super) target: u32,
    /// Discontinuities that left the list.
    pub(super) discontinuities: u64,
    /// The segments, and whether each is media.
    pub(super) slots: Vec<(&'a Slot, bool)>,
    /// Nothing will follow.
    pub(super) ended: bool,
}

impl std::ops::AddAssign for Published {
    fn add_assign(&mut self, more: Self) {
        self.media += more.media;
        self.gaps += more.gaps;
    }
}

fn settle_slot(slot: &mut Slot, tracks: &[Track]) {
    for track in tracks {
        if slot.get(&track.name).is_none() {
            slot.media.push((track.name.clone(), Rendered::Gap));
        }
    }
}

/// Source, ladder, audio: in the order of the master playlist.
fn tracks(info: &StreamInfo) -> Vec<Track> {
    let track = |name, own, rate| Track {
        name,
        own,
        next: info.first_sequence,
        rate,
        independent: true,
    };
    let video = info.video.iter();
    let audio = info.audio.iter();
    video
        .map(|_| track(RenditionName::source(), true, Rate::default()))
        .chain(
            info.ladder
                .iter()
                .map(|s| track(s.name.clone(), false, Rate::of(s))),
        )
        .chain(audio.map(|_| track(RenditionName::audio(), true, Rate::default())))
        .collect()
}
