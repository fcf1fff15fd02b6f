//! A stream as the origin holds it: the presentation that is live or ended last, and for as long
//! as there is room and time the one before it.
//!
//! Media playlists are asked for by the epoch with which their presentation began. An epoch
//! that nobody here knows is that of an earlier process or of another ingest: what is held
//! carries it on, so that players go on over a restart.

use std::time::{Duration, Instant};

use rackcast_segment::id::Epoch;

use super::info::StreamInfo;
use super::loss::Loss;
use super::packager;
use super::presentation::Presentation;
use super::window::{Bounds, Published, Window};

/// One stream, over its presentations.
#[derive(Debug)]
pub(super) struct Stream {
    now: Presentation,
    /// Ended, and still to be played.
    before: Option<Presentation>,
    /// The last epoch of a presentation that ended and is forgotten, or is elsewhere.
    over: Option<Epoch>,
}

impl Stream {
    pub(super) fn new(bounds: Bounds, epoch: Epoch, info: StreamInfo) -> Self {
        let window = Window::new(bounds, epoch, &info, packager());
        Self {
            now: Presentation::new(info, window),
            before: None,
            over: None,
        }
    }

    /// Begins an epoch: it carries the presentation on if that can go on, and begins another
    /// one if not.
    pub(super) fn open(&mut self, bounds: Bounds, epoch: Epoch, info: StreamInfo) -> Published {
        if self.now.window.can_carry_on(&info) {
            let published = self.now.window.carry_on(epoch, &info, packager());
            self.now.info = info;
            self.now.left = None;
            self.now.waits = false;
            self.now.changed();
            return published;
        }
        let published = self.now.window.end_here();
        self.now.left.get_or_insert_with(Instant::now);
        self.now.changed();
        self.forget_before();
        let window = Window::new(bounds, epoch, &info, packager());
        let ended = std::mem::replace(&mut self.now, Presentation::new(info, window));
        self.before = Some(ended);
        published
    }

    /// The newest presentation.
    pub(super) fn now(&self) -> &Presentation {
        &self.now
    }

    /// The presentation that has this for its present epoch.
    pub(super) fn in_epoch(&mut self, epoch: Epoch) -> Option<&mut Presentation> {
        let mut all = std::iter::once(&mut self.now).chain(&mut self.before);
        all.find(|p| p.window.epoch() == epoch)
    }

    /// The presentation whose playlists have addresses that begin with `first`.
    pub(super) fn begun_with(&mut self, first: Epoch) -> Option<&mut Presentation> {
        if self.over.is_some_and(|over| first <= over) {
            return None;
        }
        match &mut self.before {
            Some(before) if first < self.now.first => Some(before),
            _ => Some(&mut self.now),
        }
    }

    /// The presentation that began with this epoch is another process's, and what begins here
    /// stands beside it.
    pub(super) fn is_elsewhere(&mut self, first: Epoch) {
        if first < self.now.first {
            self.over = self.over.max(Some(first));
        }
    }

    /// What is shown to who asks for the stream by its name: the newest presentation, but the
    /// one before it until every rendition of the newest lists something.
    pub(super) fn shown(&mut self) -> &mut Presentation {
        match &mut self.before {
            Some(before) if !self.now.window.ready() => before,
            _ => &mut self.now,
        }
    }

    /// All presentations, the newest first.
    pub(super) fn presentations(&self) -> impl Iterator<Item = &Presentation> {
        std::iter::once(&self.now).chain(&self.before)
    }

    /// Bytes of media.
    pub(super) fn bytes(&self) -> usize {
        self.presentations().map(|p| p.window.bytes()).sum()
    }

    /// Makes way for what is live.
    pub(super) fn forget_before(&mut self) {
        if let Some(before) = self.before.take() {
            self.over = Some(before.window.epoch());
        }
    }

    /// When the presentation that was left first was left, if one was.
    pub(super) fn left_first(&self) -> Option<Instant> {
        let oldest = self.before.as_ref().unwrap_or(&self.now);
        oldest.left
    }

    /// Forgets the presentation before, or all if there is none; `true` if nothing remains.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let all = self.before.is_none();
        self.forget_before();
        if all {
            self.now.window.clear();
            self.now.changed();
        }
        all
    }

    /// Forgets what left longer ago than `retention`; `true` if nothing remains.
    pub(super) fn sweep(&mut self, now: Instant, retention: Duration) -> bool {
        let over = |left: Instant| now.saturating_duration_since(left) >= retention;
        while self.left_first().is_some_and(over) {
            if self.forget_oldest() {
                return true;
            }
        }
        false
    }

    /// Gives up a segment of the newest presentation.
    pub(super) fn give_up(&mut self, loss: Loss) -> Published {
        let published = self.now.window.give_up(loss);
        self.now.changed();
        published
    }
}
