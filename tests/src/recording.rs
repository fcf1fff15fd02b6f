//! What a [player](crate::player) saw of a stream, and whether it could have tripped over it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::playlist::{Listed, Master};

/// A segment as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As the playlist listed it first.
    pub listed: Listed,
    /// When that was.
    pub at: Instant,
    /// Its bytes; empty for a gap.
    pub body: Bytes,
}

/// All that was seen of one rendition.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// By media sequence number.
    pub segments: BTreeMap<u64, Seen>,
    /// `EXT-X-ENDLIST` was seen.
    pub ended: bool,
}

impl Track {
    /// Sequence numbers of the gaps.
    pub fn gaps(&self) -> Vec<u64> {
        self.segments
            .values()
            .filter(|s| s.listed.gap)
            .map(|s| s.listed.sequence)
            .collect()
    }

    /// Sequence numbers between the first and the last that never stood in a playlist.
    pub fn holes(&self) -> Vec<u64> {
        let (Some((first, _)), Some((last, _))) = (
            self.segments.first_key_value(),
            self.segments.last_key_value(),
        ) else {
            return Vec::new();
        };
        (*first..*last)
            .filter(|n| !self.segments.contains_key(n))
            .collect()
    }

    /// Epochs of which at least so many segments were listed.
    pub fn lives(&self, segments: usize) -> usize {
        let mut of: BTreeMap<u64, usize> = BTreeMap::new();
        for seen in self.segments.values() {
            *of.entry(seen.listed.address().0).or_default() += 1;
        }
        of.values().filter(|count| **count >= segments).count()
    }

    /// All bytes in order.
    pub fn bytes(&self) -> Vec<u8> {
        self.segments
            .values()
            .flat_map(|s| s.body.iter().copied())
            .collect()
    }

    /// The longest that a player waited for the next segment.
    pub fn longest_wait(&self) -> Duration {
        let times: Vec<_> = self.segments.values().map(|s| s.at).collect();
        times
            .windows(2)
            .map(|w| w[1].duration_since(w[0]))
            .max()
            .unwrap_or_default()
    }

    /// Segments listed so far.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether nothing was listed so far.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// All that was seen of a stream.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The master playlist.
    pub master: Master,
    /// How many playlists of renditions it names.
    pub playlists: usize,
    /// By the rendition's name in the addresses: `source`, `audio`, `240p`.
    pub tracks: BTreeMap<String, Track>,
    /// What a player could have tripped over, and every rule of RFC 8216 that was broken.
    pub faults: Vec<String>,
    /// Requests that got no answer, or none that was good.
    pub outages: Vec<String>,
}

impl Recording {
    /// A rendition by its name.
    ///
    /// # Panics
    /// It was never listed.
    pub fn track(&self, name: &str) -> &Track {
        self.tracks
            .get(name)
            .unwrap_or_else(|| panic!("there is no rendition {name:?} in {:?}", self.tracks.keys()))
    }

    /// Names of the transcoded renditions.
    pub fn transcoded(&self) -> Vec<&str> {
        let own = ["source", "audio"];
        self.tracks
            .keys()
            .map(String::as_str)
            .filter(|n| !own.contains(n))
            .collect()
    }

    /// Segments that every rendition has listed, those among them that have listed none yet.
    pub fn common(&self) -> usize {
        let listed = self.tracks.values().map(Track::len).min().unwrap_or(0);
        if self.tracks.len() < self.playlists {
            0
        } else {
            listed
        }
    }

    /// Every rendition of the master playlist has listed something: what is said of all tracks is said
    /// of all renditions.
    ///
    /// # Panics
    /// One has not.
    pub fn assert_all_listed(&self) {
        let (listed, named) = (self.tracks.keys(), self.playlists);
        assert!(
            listed.len() >= named,
            "of {named} renditions only these listed a segment: {listed:?}"
        );
    }

    /// Fails if a player could have tripped.
    ///
    /// # Panics
    /// It could.
    pub fn assert_sound(&self) {
        assert!(self.faults.is_empty(), "faults: {:#?}", self.faults);
    }

    /// All renditions agree on the length of every segment that both have, and on the timeline
    /// that it is on.
    ///
    /// # Panics
    /// Two of them do not.
    pub fn assert_in_step(&self) {
        let Some((first_name, first)) = self.tracks.first_key_value() else {
            return;
        };
        for (name, track) in &self.tracks {
            for (number, seen) in &track.segments {
                let Some(other) = first.segments.get(number) else {
                    continue;
                };
                let (a, b) = (&seen.listed, &other.listed);
                assert!(
                    (a.duration - b.duration).abs() < 0.1 && a.timeline == b.timeline,
                    "segment {number} is {a:?} in {name} and {b:?} in {first_name}"
                );
            }
        }
    }
}
