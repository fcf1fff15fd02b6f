//! All streams, and the memory that they share.
//!
//! A bound for each stream is none for many. When all of them together hold more than
//! `max_bytes`, what is missed least goes first:
//!
//! 1. what ended, the longest ago first;
//! 2. segments that are no longer listed, of whichever stream holds most of them;
//! 3. the oldest listed ones, of the stream that lists most bytes, as long as its playlists
//!    keep three target durations, which RFC 8216 asks for;
//! 4. results of transcoders, which become gaps: they are not taken in at all;
//! 5. more listed ones, but never the newest of any stream: a publisher's own media is always
//!    taken, and played.
//!
//! So that it does not come to that, no stream is begun for which there would be no room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rackcast_segment::id::StreamId;

use super::loss::Loss;
use super::metrics::Metrics;
use super::stream::Stream;
use super::{gauge, lock};

/// The log has one line in so much time about live playlists that became shorter.
const TELL: Duration = Duration::from_secs(60);

/// All streams by name, and what they hold.
#[derive(Debug)]
pub(super) struct Memory {
    max: AtomicUsize,
    streams: RwLock<HashMap<StreamId, Arc<Mutex<Stream>>>>,
    told: Mutex<Option<Instant>>,
    pub(super) metrics: Metrics,
}

impl Memory {
    pub(super) fn new(max: usize, metrics: Metrics) -> Self {
        Self {
            max: AtomicUsize::new(max),
            streams: RwLock::default(),
            told: Mutex::default(),
            metrics,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.is_empty()
    }

    /// Another bound for all of them together.
    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    pub(super) fn find(&self, id: &StreamId) -> Option<Arc<Mutex<Stream>>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(id).cloned()
    }

    /// The stream, changed by `again` where it is known, and made by `first` where it is not.
    pub(super) fn open(
        &self,
        id: &StreamId,
        again: impl FnOnce(&mut Stream),
        first: impl FnOnce() -> Stream,
    ) -> Arc<Mutex<Stream>> {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.get(id) {
            self.change(&mut lock(stream), again);
            return Arc::clone(stream);
        }
        let stream = Arc::new(Mutex::new(first()));
        streams.insert(id.clone(), Arc::clone(&stream));
        self.metrics.streams.inc();
        stream
    }

    /// Changes a stream and counts what it holds then.
    pub(super) fn change<T>(
        &self,
        stream: &mut Stream,
        change: impl FnOnce(&mut Stream) -> T,
    ) -> T {
        let before = stream.bytes();
        let out = change(stream);
        let diff = gauge(stream.bytes()) - gauge(before);
        self.metrics.held.add(diff);
        out
    }

    /// Forgets what left longer ago than `retention`.
    pub(super) fn sweep(&self, now: Instant, retention: Duration) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|id, stream| {
            let over = self.change(&mut lock(stream), |s| s.sweep(now, retention));
            if over {
                self.forgotten(id);
            }
            !over
        });
    }

    /// Gives up what must be, up to `worst`, until there is room for so many bytes more; says
    /// whether there is now. No lock of a stream may be held.
    pub(super) fn make_room(&self, bytes: usize, worst: Loss) -> bool {
        for loss in Loss::ALL.into_iter().filter(|loss| *loss <= worst) {
            while !self.fits(bytes) && self.give_up(loss) {
                self.metrics.gave_up(loss.label());
                if loss >= Loss::Listed {
                    self.tell();
                }
            }
        }
        self.fits(bytes)
    }

    /// Whether one more stream like those that are live would fit.
    pub(super) fn has_room_for_another(&self) -> bool {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let listed: Vec<_> = streams
            .values()
            .filter_map(|stream| {
                let stream = lock(stream);
                let live = stream.now().left.is_none();
                live.then(|| stream.now().window.listed_bytes())
            })
            .collect();
        let all: usize = listed.iter().sum();
        let mean = all.checked_div(listed.len()).unwrap_or(0);
        all.saturating_add(mean) <= self.max()
    }

    fn fits(&self, bytes: usize) -> bool {
        let held = usize::try_from(self.metrics.held.get()).unwrap_or(0);
        held.saturating_add(bytes) <= self.max()
    }

    /// Gives up one thing; `false`: there is no such thing.
    fn give_up(&self, loss: Loss) -> bool {
        if loss == Loss::Ended {
            return self.give_up_ended();
        }
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let weighed = streams.values().filter_map(|stream| {
            let bytes = lock(stream).now().window.spare(loss)?;
            Some((bytes, stream))
        });
        let Some((_, stream)) = weighed.max_by_key(|(bytes, _)| *bytes) else {
            return false;
        };
        let published = self.change(&mut lock(stream), |s| s.give_up(loss));
        self.metrics.published(&published);
        true
    }

    fn give_up_ended(&self) -> bool {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let ended = streams
            .iter()
            .filter_map(|(id, stream)| Some((lock(stream).left_first()?, id)));
        let Some((_, id)) = ended.min() else {
            return false;
        };
        let id = id.clone();
        let over = streams
            .get(&id)
            .is_some_and(|stream| self.change(&mut lock(stream), Stream::forget_oldest));
        if over {
            streams.remove(&id);
            self.forgotten(&id);
        }
        true
    }

    fn forgotten(&self, id: &StreamId) {
        self.metrics.streams.dec();
        log::info!(rackcast_stream = id.to_string(); "a stream that ended is forgotten");
    }

    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL) {
            *told = Some(Instant::now());
            log::warn!(
                "live playlists become shorter: all streams together need more than \
                 origin.max_bytes = {}; raise it if this machine has the memory, or publish less here",
                self.max()
            );
        }
    }
}
