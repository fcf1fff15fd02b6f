//! The renditions of the present epoch, and how far each of them lists the window.

use rackcast_segment::id::{RenditionName, Sequence};

use crate::origin::info::StreamInfo;
use crate::origin::rate::Rate;

/// A rendition of the present epoch.
#[derive(Debug)]
pub(in crate::origin) struct Track {
    pub(in crate::origin) name: RenditionName,
    /// The publisher's own video or audio: settled with the segment itself.
    pub(super) own: bool,
    /// The first segment that it does not list yet.
    pub(super) next: Sequence,
    pub(in crate::origin) rate: Rate,
}

/// Source, ladder, audio: in the order of the master playlist.
pub(super) fn tracks(info: &StreamInfo) -> Vec<Track> {
    let track = |name, own, rate| Track {
        name,
        own,
        next: info.first_sequence,
        rate,
    };
    let video = info.video.iter();
    let frame_rate = info.video.as_ref().and_then(|v| v.frame_rate);
    let audio = info.audio.iter();
    video
        .map(|_| track(RenditionName::source(), true, Rate::default()))
        .chain(
            info.ladder
                .iter()
                .map(|s| track(s.name.clone(), false, Rate::of(s, frame_rate))),
        )
        .chain(audio.map(|_| track(RenditionName::audio(), true, Rate::default())))
        .collect()
}
