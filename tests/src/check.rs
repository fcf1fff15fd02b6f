//! What must hold of every recorded stream, whatever happened to the machines behind it.

use std::collections::BTreeMap;
use std::io::Write;

use tempfile::NamedTempFile;

use crate::player::{Recording, Track};
use crate::probe::{self, Kind, Packet};

/// A track's segments, one after another in a file, as a player's decoder gets them.
#[derive(Debug)]
pub struct Joined {
    file: NamedTempFile,
    /// Sequence number and offset of each segment that has bytes.
    starts: Vec<(u64, u64)>,
}

impl Joined {
    /// Joins those segments of a track that are wanted.
    ///
    /// # Panics
    /// The disk is full.
    pub fn new(track: &Track, wanted: impl Fn(u64) -> bool) -> Self {
        let mut file = tempfile::Builder::new().suffix(".ts").tempfile().unwrap();
        let mut starts = Vec::new();
        let mut at = 0;
        for (number, seen) in &track.segments {
            if wanted(*number) && !seen.body.is_empty() {
                starts.push((*number, at));
                file.write_all(&seen.body).unwrap();
                at += seen.body.len() as u64;
            }
        }
        Self { file, starts }
    }

    /// How many segments were joined.
    pub fn segments(&self) -> usize {
        self.starts.len()
    }

    /// Pictures or audio frames that come out of ffmpeg's decoder.
    pub fn decode(&self, kind: Kind) -> usize {
        probe::decode(self.file.path(), kind)
    }

    /// Width, height and codec.
    pub fn size(&self) -> (u32, u32, String) {
        probe::size(self.file.path())
    }

    /// All packets in order.
    pub fn packets(&self, kind: Kind) -> Vec<Packet> {
        probe::packets(self.file.path(), kind)
    }

    /// The packets of each segment, by sequence number.
    pub fn by_segment(&self, kind: Kind) -> BTreeMap<u64, Vec<Packet>> {
        let mut segments: BTreeMap<u64, Vec<Packet>> = BTreeMap::new();
        for packet in self.packets(kind) {
            let after = self
                .starts
                .partition_point(|(_, start)| *start <= packet.pos);
            segments
                .entry(self.starts[after - 1].0)
                .or_default()
                .push(packet);
        }
        segments
    }
}

/// Presentation times in order.
fn times(packets: &[Packet]) -> Vec<i64> {
    let mut pts: Vec<i64> = packets.iter().map(|p| p.pts).collect();
    pts.sort_unstable();
    pts
}

/// Every transcoded rendition has, in every segment that it and the source carry, the source's
/// pictures: as many, at the same times, beginning with one that a decoder can begin with.
///
/// # Panics
/// One has not.
pub fn assert_same_pictures(recording: &Recording) {
    recording.assert_all_listed();
    let source = Joined::new(recording.track("source"), |_| true).by_segment(Kind::Video);
    for name in recording.transcoded() {
        let rendition = Joined::new(recording.track(name), |n| source.contains_key(&n));
        for (number, packets) in rendition.by_segment(Kind::Video) {
            assert_eq!(
                times(&packets),
                times(&source[&number]),
                "{name}, segment {number}"
            );
            assert!(
                packets[0].key,
                "{name}, segment {number} begins with no keyframe"
            );
            let keys = packets.iter().filter(|p| p.key).count();
            assert_eq!(keys, 1, "keyframes in {name}, segment {number}");
        }
    }
}

/// No rendition has a gap or a hole.
///
/// # Panics
/// One has.
pub fn assert_nothing_lost(recording: &Recording) {
    recording.assert_all_listed();
    for (name, track) in &recording.tracks {
        assert_eq!(track.gaps(), [0; 0], "gaps in {name}");
        assert_eq!(track.holes(), [0; 0], "numbers that {name} never listed");
    }
}

/// Every rendition decodes without a complaint and its timestamps have no seam.
///
/// # Panics
/// One does not.
pub fn assert_plays_through(recording: &Recording, picture: i64) {
    for (name, track) in &recording.tracks {
        let joined = Joined::new(track, |_| true);
        let kind = if name == "audio" {
            Kind::Audio
        } else {
            Kind::Video
        };
        let packets = joined.packets(kind);
        assert_eq!(
            joined.decode(kind),
            packets.len(),
            "frames that {name} decodes to"
        );
        if kind == Kind::Video {
            probe::assert_contiguous(&packets, picture);
        }
    }
}
