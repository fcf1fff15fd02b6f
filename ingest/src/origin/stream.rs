//! A stream as the origin holds it: its window, and the playlists made of it, each rendered
//! once a change.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use bytes::Bytes;
use rackcast_segment::id::RenditionName;

use super::info::StreamInfo;
use super::window::Window;
use super::{master, playlist};

/// A playlist's address within its stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Page {
    /// `master.m3u8`.
    Master,
    /// `muxed.m3u8`.
    Muxed,
    /// `<rendition>.m3u8`, and the same text under `muxed/`.
    Media(RenditionName),
}

/// A playlist ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) body: Bytes,
    /// Changes with the body, and with nothing else.
    pub(super) tag: String,
}

/// One stream, over its epochs.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) info: StreamInfo,
    pub(super) window: Window,
    /// When its producer ended it or went away.
    pub(super) left: Option<Instant>,
    texts: HashMap<Page, Text>,
}

impl Stream {
    pub(super) fn new(info: StreamInfo, window: Window) -> Self {
        Self {
            info,
            window,
            left: None,
            texts: HashMap::new(),
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
                master::master(&self.info, self.window.tracks(), muxed)
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
