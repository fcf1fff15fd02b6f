//! What a path names.
//!
//! Every part must be a name or a number in the one form in which playlists write it, so that
//! `..`, encoded slashes, NUL and second spellings of an address name nothing at all.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId};

use crate::origin::presentation::Page;

/// Something that may be there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) id: StreamId,
    /// With the audio inside.
    pub(super) muxed: bool,
    pub(super) what: What,
}

/// What it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Master(Page),
    /// Of the newest presentation, wherever that is.
    Newest(RenditionName),
    /// Of the presentation that began with this epoch.
    Media(Epoch, Page),
    Segment(Epoch, RenditionName, Sequence),
}

impl Address {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix('/')?.splitn(7, '/').collect();
        let [app, name, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let id = StreamId {
            app: app.parse().ok()?,
            name: name.parse().ok()?,
        };
        let (muxed, what) = match rest {
            ["master.m3u8"] => (false, What::Master(Page::Master)),
            ["muxed.m3u8"] => (true, What::Master(Page::Muxed)),
            ["muxed", rest @ ..] => (true, below(rest)?),
            rest => (false, below(rest)?),
        };
        Some(Self { id, muxed, what })
    }

    /// For the metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self.what {
            What::Master(_) => "master",
            What::Newest(_) | What::Media(..) => "playlist",
            What::Segment(..) => "segment",
        }
    }
}

fn below(rest: &[&str]) -> Option<What> {
    match rest {
        [file] => Some(What::Newest(playlist(file)?)),
        [epoch, file] => {
            let page = Page::Media(playlist(file)?);
            Some(What::Media(Epoch(number(epoch)?), page))
        }
        [epoch, name, file] => Some(What::Segment(
            Epoch(number(epoch)?),
            name.parse().ok()?,
            Sequence(number(file.strip_suffix(".ts")?)?),
        )),
        _ => None,
    }
}

/// `<rendition>.m3u8`.
fn playlist(file: &str) -> Option<RenditionName> {
    file.strip_suffix(".m3u8")?.parse().ok()
}

/// A number without sign or leading zeros.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
