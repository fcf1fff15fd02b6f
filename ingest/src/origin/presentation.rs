//! A stream from its beginning to its end, over all its epochs: one window, and the playlists
//! made of it, each rendered once a change.
//!
//! What ended stays ended (RFC 8216, 6.2.1). So a publication that comes after the end is
//! another presentation, whose media playlists have addresses of their own: those begin with
//! the epoch with which the presentation began.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName};

use super::info::StreamInfo;
use super::window::Window;
use super::{master, playlist};
use crate::relay::Claim;

/// A playlist of a presentation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Page {
    /// `master.m3u8`.
    Master,
    /// `muxed.m3u8`.
    Muxed,
    /// `<first epoch>/<rendition>.m3u8`, and the same text under `muxed/`.
    Media(RenditionName),
}

/// A playlist ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) body: Bytes,
    /// Changes with the body, and with nothing else.
    pub(super) tag: String,
}

/// One presentation of a stream.
#[derive(Debug)]
pub(super) struct Presentation {
    /// The epoch that it began with.
    pub(super) first: Epoch,
    pub(super) info: StreamInfo,
    pub(super) window: Window,
    /// When its producer ended it or went away.
    pub(super) left: Option<Instant>,
    /// Its publisher was lost and may return, here or elsewhere.
    pub(super) waits: bool,
    texts: HashMap<Page, Text>,
}

impl Presentation {
    pub(super) fn new(info: StreamInfo, window: Window) -> Self {
        Self {
            first: window.epoch(),
            info,
            window,
            left: None,
            waits: false,
            texts: HashMap::new(),
        }
    }

    /// It has a publisher.
    pub(super) fn is_published(&self) -> bool {
        self.left.is_none() && !self.waits
    }

    /// How much its playlists count at the address of those that began with `first`. What carries
    /// another process's playlists on gives way to that process, and what was left without an end
    /// to who carries it on; that one steps in with all renditions at once.
    pub(super) fn claim(&self, first: Epoch) -> Claim {
        let (ended, published) = (self.window.has_ended(), self.is_published());
        match self.first == first {
            true if ended || published => Claim::Strong,
            false if ended || (published && self.window.ready()) => Claim::CarriesOn,
            _ => Claim::Left,
        }
    }

    /// The window changed.
    pub(super) fn changed(&mut self) {
        self.texts.clear();
    }

    /// A playlist; `None` if there is none of this name, or nothing to list yet.
    ///
    /// A master playlist waits until every rendition lists something, be it a gap: players
    /// give up on a variant that they find empty.
    pub(super) fn page(&mut self, page: &Page) -> Option<Text> {
        if let Some(text) = self.texts.get(page) {
            return Some(text.clone());
        }
        let text = match page {
            Page::Master | Page::Muxed => {
                if !self.window.ready() {
                    return None;
                }
                let muxed = *page == Page::Muxed;
                master::master(&self.info, self.first, self.window.tracks(), muxed)
            }
            Page::Media(name) => playlist::media(&self.window.list(name)?),
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let text = Text {
            tag: format!("\"{:016x}\"", hasher.finish()),
            body: text.into(),
        };
        self.texts.insert(page.clone(), text.clone());
        Some(text)
    }
}
