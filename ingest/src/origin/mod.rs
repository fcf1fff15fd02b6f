//! Keeps what was made of a stream, for as long as players need it, and serves it as HLS.
//!
//! | Address below `/<app>/<stream>/` | What |
//! |---|---|
//! | `master.m3u8` | all renditions, audio as a group of its own |
//! | `<epoch>/<rendition>.m3u8` | one of them: `source`, `audio`, those of the ladder; the epoch is that with which it began |
//! | `<rendition>.m3u8` | leads to the newest of those |
//! | `<epoch>/<rendition>/<sequence>.ts` | a segment, never anything else |
//! | `muxed.m3u8`, and all the others under `muxed/` | the same with the audio inside, for old players |
//!
//! The producer of a stream [opens](Origin::open) an epoch, adds each
//! [segment](OriginStream::segment) and settles it in each
//! [rendition](OriginStream::rendition), as media or as a gap. What is settled never changes.
//! All renditions share one window and its numbers. A stream that ended, or whose producer
//! died, stays for `retention`. A new epoch within that time carries the playlists of a
//! producer that died on; what ended stays ended, and the new epoch begins a
//! [presentation](presentation) of its own, beside it. Memory is bounded, a stream's by
//! `max_bytes_per_stream` and that of [all](memory) by `max_bytes`, whatever producers do.
//!
//! No I/O and no waiting here: locks are held for as long as it takes to change or render a
//! list, and [`http::handle`] answers from memory.

mod config;
pub mod http;
mod info;
mod loss;
mod master;
mod memory;
mod metrics;
mod mux;
mod muxed;
mod package_error;
mod packager;
mod playlist;
mod presentation;
mod rate;
mod stream;
mod window;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use info::{Rendered, SegmentInfo, SourceVideo, StreamInfo};
pub use muxed::Mux;
pub use package_error::PackageError;
pub use packager::{MpegTs, Packager};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use prometheus::Registry;
use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId};
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::shape::Ratio;

use crate::segmenter::Segment;
use loss::Loss;
use memory::Memory;
use metrics::Metrics;
use muxed::Muxed;
use presentation::Presentation;
use stream::Stream;
use window::{Bounds, Published};

/// All streams that this process serves.
#[derive(Debug)]
pub struct Origin {
    config: ArcSwap<Config>,
    memory: Arc<Memory>,
    muxed: Muxed,
}

impl Origin {
    /// An origin without streams.
    ///
    /// # Errors
    /// If its metrics are registered already.
    pub fn new(config: Config, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        Ok(Self {
            memory: Arc::new(Memory::new(config.max_bytes, metrics)),
            config: ArcSwap::from_pointee(config),
            muxed: Muxed::default(),
        })
    }

    /// Goes by another configuration. What bounds one stream holds for those that begin an epoch.
    pub fn reconfigure(&self, config: Config) {
        self.memory.set_max(config.max_bytes);
        self.config.store(Arc::new(config));
        self.memory.make_room(0, Loss::Needed);
    }

    /// Begins an epoch of a stream, in MPEG-TS. If the stream is still listed and has not
    /// ended, its playlists go on with a discontinuity; if it has, or if they cannot go on with
    /// what the epoch says of itself, they end and others begin. Either way the segments of the
    /// epoch before stay under their own addresses.
    pub fn open(&self, id: StreamId, epoch: Epoch, info: &StreamInfo) -> Arc<OriginStream> {
        let config = self.config.load();
        let bounds = Bounds {
            listed: config.listed,
            kept: config.kept,
            bytes: config.max_bytes_per_stream,
        };
        let memory = &self.memory;
        let again = |stream: &mut Stream| {
            let published = stream.open(bounds, epoch, info.clone());
            memory.metrics.published(&published);
        };
        let stream = memory.open(&id, again, || Stream::new(bounds, epoch, info.clone()));
        Arc::new(OriginStream {
            id,
            epoch,
            stream,
            packager: Mutex::new(packager()),
            max_bytes: config.max_bytes_per_stream,
            memory: Arc::clone(memory),
        })
    }

    /// How long what has no publisher can still be played.
    pub fn retention(&self) -> Duration {
        self.config.load().retention
    }

    /// Whether the memory would do for one more stream like those that are live.
    pub fn has_room_for_another(&self) -> bool {
        self.memory.has_room_for_another()
    }

    /// The number that a stream which begins now is to begin with: the one that continues its
    /// playlists without a hole, if they are still listed, or else `by_clock`. What was left without
    /// an end may have been carried on elsewhere, with numbers by the clock: then the higher one.
    pub fn first_sequence(&self, id: &StreamId, by_clock: Sequence) -> Sequence {
        let Some(stream) = self.find(id) else {
            return by_clock;
        };
        let stream = lock(&stream);
        let next = stream.now().window.next_sequence();
        match stream.now().left.is_some() && !stream.now().window.has_ended() {
            true => next.max(by_clock),
            false => next,
        }
    }

    /// Forgets the streams whose retention is over. To be called every second or so.
    pub fn sweep(&self, now: Instant) {
        self.memory.sweep(now, self.config.load().retention);
    }

    /// Whether nothing can be played.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    fn find(&self, id: &StreamId) -> Option<Arc<Mutex<Stream>>> {
        self.memory.find(id)
    }
}

/// One epoch of a stream, for whoever produces it. Dropped without an [`end`](Self::end), it
/// leaves the playlists open, for another ingest may carry the stream on.
#[derive(Debug)]
pub struct OriginStream {
    id: StreamId,
    epoch: Epoch,
    stream: Arc<Mutex<Stream>>,
    /// For the publisher's own media; apart from the window's, so that muxing a segment
    /// keeps no player waiting.
    packager: Mutex<Box<dyn Packager>>,
    /// All that the stream may hold.
    max_bytes: usize,
    memory: Arc<Memory>,
}

impl OriginStream {
    /// The stream.
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Packages a segment as the publisher sent it: the video, which is served as the source
    /// rendition and is also the body of the transcode request, and the audio. To be called
    /// once a segment, in order.
    pub fn package(&self, segment: &Segment) -> (Option<Bytes>, Option<Bytes>) {
        let mut packager = self.packager.lock().unwrap_or_else(PoisonError::into_inner);
        packager.source(segment)
    }

    /// Lists a segment: at once in the source and the audio (a gap where `None`), and in each
    /// other rendition when [`rendition`](Self::rendition) has settled it and all before it.
    /// Ignored, with a warning, if it is not the next one, or if another epoch has begun.
    pub fn segment(&self, info: SegmentInfo, source: Option<Bytes>, audio: Option<Bytes>) {
        let added = self.change(|presentation| {
            let added = presentation.window.add(self.epoch, info, source, audio)?;
            presentation.waits = false;
            Some(added)
        });
        if !added {
            log::warn!(
                rackcast_stream = self.id.to_string(),
                rackcast_segment = info.sequence.0;
                "a segment out of order, or of an epoch that is over, is not listed"
            );
        }
        self.memory.make_room(0, Loss::Needed);
    }

    /// Settles a segment in one rendition. `false`: it was settled before or is gone, and what
    /// came now is dropped. Media for which there is no memory is a gap.
    pub fn rendition(
        &self,
        sequence: Sequence,
        name: &RenditionName,
        mut rendered: Rendered,
    ) -> bool {
        let media = matches!(rendered, Rendered::Media(_));
        if media && !self.memory.make_room(rendered.len(), Loss::Listed) {
            self.memory.metrics.gave_up("result");
            rendered = Rendered::Gap;
        }
        let taken = self.change(|p| p.window.settle(self.epoch, sequence, name, rendered));
        if media && !taken {
            self.memory.metrics.late.inc();
        }
        taken
    }

    /// The publisher's pictures changed their format, and with them those of the ladder: the
    /// master playlist describes what comes from now on. Renditions keep their names; to have
    /// others, open another epoch.
    pub fn describe(&self, video: SourceVideo, ladder: &[RenditionSpec], sample_aspect: Ratio) {
        let mut stream = lock(&self.stream);
        let Some(stream) = stream.in_epoch(self.epoch) else {
            return;
        };
        for spec in &mut stream.info.ladder {
            if let Some(now) = ladder.iter().find(|now| now.name == spec.name) {
                spec.clone_from(now);
            }
        }
        stream.info.video = Some(video);
        stream.info.sample_aspect = sample_aspect;
        stream.changed();
    }

    /// The discontinuity number of its newest segment, or of its first while there is none. `None`
    /// if another epoch has begun.
    pub fn discontinuity(&self) -> Option<u64> {
        let mut stream = lock(&self.stream);
        Some(stream.in_epoch(self.epoch)?.window.discontinuity())
    }

    /// The publisher was lost; until the next segment another process's answer counts more.
    pub fn waits(&self) {
        if let Some(stream) = lock(&self.stream).in_epoch(self.epoch) {
            stream.waits = true;
        }
    }

    /// The stream is over: playlists end once what is outstanding is settled.
    pub fn end(&self) {
        self.leave(true);
    }

    /// Retention begins to run.
    fn leave(&self, ended: bool) {
        let mut stream = lock(&self.stream);
        let Some(stream) = stream.in_epoch(self.epoch) else {
            return;
        };
        stream.left.get_or_insert_with(Instant::now);
        if ended {
            stream.window.end(self.epoch);
            stream.changed();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Presentation) -> Option<Published>) -> bool {
        let mut stream = lock(&self.stream);
        let published = self.memory.change(&mut stream, |stream| {
            let presentation = stream.in_epoch(self.epoch)?;
            let published = change(presentation)?;
            presentation.changed();
            if stream.bytes() > self.max_bytes {
                stream.forget_before();
            }
            Some(published)
        });
        drop(stream);
        let Some(published) = published else {
            return false;
        };
        self.memory.metrics.published(&published);
        true
    }
}

impl Drop for OriginStream {
    fn drop(&mut self) {
        self.leave(false);
    }
}

fn packager() -> Box<dyn Packager> {
    Box::new(MpegTs::default())
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    // Every change leaves the stream whole before anything in it can panic.
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
