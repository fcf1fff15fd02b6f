//! How media becomes files that a player fetches.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use rackcast_segment::id::RenditionName;
use rackcast_segment::ts::{self, Counters, Layout, Writer};

use super::mux::mux;
use super::muxed::Mux;
use super::package_error::PackageError;
use crate::segmenter::Segment;

/// A container format, with what it must remember from one segment of an epoch to the next.
pub trait Packager: Send + fmt::Debug {
    /// The publisher's own video and audio of a segment, each `None` where it has none.
    /// Called once a segment, in order.
    fn source(&mut self, segment: &Segment) -> (Option<Bytes>, Option<Bytes>);

    /// Makes a rendition's segment follow the one that this was called with before, whichever
    /// nodes made them. Called once for every segment that is not a gap, in order.
    ///
    /// # Errors
    /// [`PackageError`]: the segment is to be a gap.
    fn follow(&mut self, rendition: &RenditionName, media: Bytes) -> Result<Bytes, PackageError>;

    /// What puts video and audio, as the other two returned them, into one. It fails if one of them
    /// is not of this format.
    fn mux(&self) -> Mux;
}

/// MPEG-TS: every segment carries its own tables, and counters run on.
#[derive(Debug)]
pub struct MpegTs {
    video: Writer,
    audio: Writer,
    counters: HashMap<RenditionName, Counters>,
}

impl Default for MpegTs {
    fn default() -> Self {
        let writer = |video| {
            Writer::new(Layout {
                video,
                audio: !video,
            })
        };
        Self {
            video: writer(true),
            audio: writer(false),
            counters: HashMap::new(),
        }
    }
}

impl Packager for MpegTs {
    fn source(&mut self, segment: &Segment) -> (Option<Bytes>, Option<Bytes>) {
        let video = (!segment.video.is_empty()).then(|| self.video.segment(&segment.video, None));
        let audio = match &segment.audio_config {
            Some(config) if !segment.audio.is_empty() => {
                Some(self.audio.segment(&[], Some((config, &segment.audio))))
            }
            _ => None,
        };
        (video, audio)
    }

    fn follow(&mut self, rendition: &RenditionName, media: Bytes) -> Result<Bytes, PackageError> {
        let counters = self.counters.entry(rendition.clone()).or_default();
        // In place unless somebody else still holds the bytes.
        let mut media = media
            .try_into_mut()
            .unwrap_or_else(|shared| shared.as_ref().into());
        ts::restamp(&mut media, counters)?;
        Ok(media.freeze())
    }

    fn mux(&self) -> Mux {
        mux
    }
}
