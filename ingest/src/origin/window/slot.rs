//! One segment in all renditions.

use rackcast_segment::id::{Epoch, RenditionName};

use super::track::Track;
use crate::origin::info::{Rendered, SegmentInfo};

/// A segment in all renditions.
#[derive(Debug)]
pub(in crate::origin) struct Slot {
    pub(in crate::origin) epoch: Epoch,
    pub(in crate::origin) info: SegmentInfo,
    pub(super) media: Vec<(RenditionName, Rendered)>,
}

impl Slot {
    pub(super) fn get(&self, name: &RenditionName) -> Option<&Rendered> {
        self.media.iter().find(|(n, _)| n == name).map(|(_, r)| r)
    }

    pub(super) fn bytes(&self) -> usize {
        self.media.iter().map(|(_, r)| r.len()).sum()
    }

    /// What has not come to one of these renditions is a gap.
    pub(super) fn settle(&mut self, tracks: &[Track]) {
        for track in tracks {
            if self.get(&track.name).is_none() {
                self.media.push((track.name.clone(), Rendered::Gap));
            }
        }
    }
}

impl Rendered {
    pub(in crate::origin) fn len(&self) -> usize {
        match self {
            Self::Media(bytes) => bytes.len(),
            Self::Gap => 0,
        }
    }
}
