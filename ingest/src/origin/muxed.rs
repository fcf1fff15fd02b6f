//! Segments with the audio inside, made when somebody asks.
//!
//! Few players want them, so none is kept: one is made for the first who asks, without any lock of
//! the stream, and shared by all who ask while anybody still reads it. Readers who stop reading
//! hold one copy of a segment, however many they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId};

use super::package_error::PackageError;

/// Puts video and audio of one container format into one segment; the same for the same.
pub type Mux = fn(&[u8], &[u8]) -> Result<Bytes, PackageError>;

/// What a segment is made of.
#[derive(Debug, Clone)]
pub(super) struct Halves {
    pub(super) video: Bytes,
    pub(super) audio: Option<Bytes>,
    pub(super) mux: Mux,
}

/// The address of a segment.
pub(super) type Key = (StreamId, Epoch, RenditionName, Sequence);

/// A segment that somebody reads; `None` if its halves do not go together.
type Made = OnceLock<Option<Bytes>>;

/// The segments that somebody reads.
#[derive(Debug, Default)]
pub(super) struct Muxed {
    made: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    segments: HashMap<Key, Weak<Made>>,
    /// With so many entries those that nobody reads any more are forgotten.
    sweep_at: usize,
}

/// A segment for one reader; with the last of them it goes.
struct Held {
    bytes: Bytes,
    _made: Arc<Made>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Muxed {
    /// The segment; `None` if its halves do not go together.
    pub(super) fn of(&self, key: Key, halves: &Halves) -> Option<Bytes> {
        let Some(audio) = &halves.audio else {
            return Some(halves.video.clone());
        };
        let made = self.entry(key);
        let bytes = made
            .get_or_init(|| (halves.mux)(&halves.video, audio).ok())
            .clone()?;
        Some(Bytes::from_owner(Held { bytes, _made: made }))
    }

    fn entry(&self, key: Key) -> Arc<Made> {
        let mut known = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = known.segments.get(&key).and_then(Weak::upgrade) {
            return made;
        }
        if known.segments.len() >= known.sweep_at {
            known.segments.retain(|_, made| made.strong_count() > 0);
            known.sweep_at = known.segments.len().saturating_mul(2).max(64);
        }
        let made = Arc::<Made>::default();
        known.segments.insert(key, Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sequence: u64) -> Key {
        (
            "live/show".parse().unwrap(),
            Epoch(1),
            "720p".parse().unwrap(),
            Sequence(sequence),
        )
    }

    fn halves() -> Halves {
        Halves {
            video: Bytes::from_static(b"v"),
            audio: Some(Bytes::from_static(b"a")),
            mux: |video, audio| Ok([video, audio].concat().into()),
        }
    }

    #[test]
    fn all_readers_of_a_segment_share_one_and_it_goes_with_the_last() {
        let muxed = Muxed::default();
        let first = muxed.of(key(1), &halves()).unwrap();
        let second = muxed.of(key(1), &halves()).unwrap();
        assert_eq!(first, "va");
        assert_eq!(first.as_ptr(), second.as_ptr());
        drop(first);
        let third = muxed.of(key(1), &halves()).unwrap();
        assert_eq!(second.as_ptr(), third.as_ptr());
        drop((second, third));
        let known = muxed.made.lock().unwrap();
        assert_eq!(known.segments[&key(1)].strong_count(), 0);
    }

    #[test]
    fn what_nobody_reads_is_forgotten_and_without_audio_nothing_is_made() {
        let muxed = Muxed::default();
        for n in 0..1000 {
            drop(muxed.of(key(n), &halves()));
        }
        assert!(muxed.made.lock().unwrap().segments.len() <= 64);
        let video = halves().video;
        let silent = Halves {
            audio: None,
            ..halves()
        };
        let alone = muxed.of(key(1), &silent).unwrap();
        assert_eq!(alone.as_ptr(), video.as_ptr());
    }
}
