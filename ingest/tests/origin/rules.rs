//! Segments, results, gaps, late results, ends and new epochs in any order: every playlist
//! follows the rules under every address that it ever had, the renditions agree, and no address
//! ever gives other bytes.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rackcast_ingest::origin::{Config, Rendered, SegmentInfo};
use rackcast_segment::id::Epoch;
use rackcast_segment::shape::Colour;
use rackcast_segment::time::{Ticks, Timestamp};

use super::hls::{self, Follower};
use super::*;

fn format() -> VideoFormat {
    VideoFormat {
        width: 320,
        height: 180,
        profile_idc: 100,
        constraints: 0,
        level_idc: 13,
        frame_rate: None,
        sample_aspect: Ratio::ONE,
        colour: Colour::default(),
        interlaced: false,
        samples: Default::default(),
        codec: Default::default(),
    }
}

fn aac() -> AudioConfig {
    AudioConfig {
        asc: Bytes::from_static(&[0x11, 0x90]),
        object_type: 2,
        sample_rate: 48_000,
        channels: 2,
    }
}

/// Segments after which the producer gives up on a result.
const LATE: u64 = 4;

/// The addresses of media playlists in a master playlist.
fn media_playlists(master: &str) -> impl Iterator<Item = String> {
    let addresses = master.split(['\n', '"']);
    addresses
        .filter(|a| a.ends_with(".m3u8"))
        .map(str::to_owned)
}

/// The folder of an address, which is the presentation's.
fn folder(address: &str) -> Option<&str> {
    address.split('/').next()
}

#[derive(Debug, Clone)]
enum Step {
    Segment {
        ms: i64,
        discontinuity: bool,
        independent: bool,
        source: bool,
    },
    /// How far behind the newest, which rendition, media or not.
    Result(u64, bool, bool),
    /// The producer ends the stream first, or is just gone; and what its GOPs now need for a
    /// target duration.
    Epoch { ends: bool, target: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let segment = (
        // Not so short that the bound on their number would cut the list.
        600i64..2400,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.9),
    );
    prop_oneof![
        8 => segment.prop_map(|(ms, discontinuity, independent, source)| Step::Segment {
            ms,
            discontinuity,
            independent,
            source,
        }),
        16 => (0u64..8, any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(behind, high, media)| Step::Result(behind, high, media)),
        1 => (any::<bool>(), 2u32..4).prop_map(|(ends, target)| Step::Epoch { ends, target }),
    ]
}

/// A packet of nothing: enough of a transport stream for the origin, and of a size that says
/// which segment it is.
fn media(n: u64) -> Bytes {
    let mut packet = [0xff; 188];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    packet.repeat(1 + n as usize % 50).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn playlists_keep_the_rules_of_hls_whatever_the_order(steps in prop::collection::vec(step(), 1..150)) {
        let config = Config { listed: 4, kept: 2, ..Config::default() };
        let origin = Origin::new(config, &prometheus::Registry::new()).unwrap();
        let mut stream = origin.open(id(), Epoch(1), &info(format(), aac(), 5));
        let (mut next, mut at, mut first) = (5, 0, 5u64);
        let mut followers: BTreeMap<String, Follower> = BTreeMap::new();
        let mut served: HashMap<String, Bytes> = HashMap::new();
        let mut settled: HashMap<(u64, bool), bool> = HashMap::new();
        for step in steps {
            match step {
                Step::Segment { ms, discontinuity, independent, source } => {
                    let info = SegmentInfo {
                        sequence: Sequence(next),
                        start: Timestamp::from_millis(10_000 + at),
                        duration: Ticks::from_millis(ms),
                        discontinuity,
                        independent,
                        program_date_time: SystemTime::UNIX_EPOCH
                            + Duration::from_millis(1_800_000_000_000 + at as u64),
                    };
                    stream.segment(info, source.then(|| media(next)), Some(media(next + 7)));
                    if !independent {
                        settled.insert((next, true), true);
                        settled.insert((next, false), true);
                    }
                    at += ms;
                    next += 1;
                    // The producer's deadline.
                    for high in [true, false] {
                        let name = if high { "high" } else { "low" }.parse().unwrap();
                        if let Some(n) = next.checked_sub(LATE).filter(|n| *n >= first) {
                            stream.rendition(Sequence(n), &name, Rendered::Gap);
                            settled.insert((n, high), true);
                        }
                    }
                }
                Step::Result(behind, high, is_media) => {
                    let Some(n) = next.checked_sub(behind + 1) else { continue };
                    let rendered = if is_media { Rendered::Media(media(n)) } else { Rendered::Gap };
                    let name = if high { "high" } else { "low" }.parse().unwrap();
                    let taken = stream.rendition(Sequence(n), &name, rendered);
                    let known = settled.contains_key(&(n, high)) || n < first;
                    prop_assert!(!(taken && known), "settled twice");
                    if taken {
                        settled.insert((n, high), true);
                    }
                }
                Step::Epoch { ends, target } => {
                    prop_assert_eq!(origin.first_sequence(&id(), Sequence(0)), Sequence(next));
                    let epoch = Epoch(stream.epoch().0 + 1);
                    if ends {
                        stream.end();
                    }
                    let mut info = info(format(), aac(), next);
                    info.target_duration = target;
                    stream = origin.open(id(), epoch, &info);
                    first = next;
                }
            }
            if let Some(text) = text(&origin, "master.m3u8") {
                let broken = hls::master(&text);
                prop_assert!(broken.is_empty(), "{:#?}\n{}", broken, text);
                for address in media_playlists(&text) {
                    followers.entry(address).or_default();
                }
            }
            let mut now = BTreeMap::new();
            for (address, follower) in &mut followers {
                let Some(text) = text(&origin, address) else { continue };
                let broken = follower.next(&text);
                prop_assert!(broken.is_empty(), "{}: {:#?}\n{}", address, broken, text);
                now.insert(address.as_str(), follower.last().unwrap());
            }
            let lists: Vec<_> = now.into_iter().collect();
            for presentation in lists.chunk_by(|a, b| folder(a.0) == folder(b.0)) {
                let broken = hls::agree(presentation);
                prop_assert!(broken.is_empty(), "{:#?}", broken);
            }
            for (_, list) in &lists {
                for item in &list.items {
                    let body = get(&origin, &item.uri);
                    prop_assert_eq!(body.is_none(), item.gap, "{}", &item.uri);
                    if let Some(body) = body {
                        let before = served.entry(item.uri.clone()).or_insert(body.clone());
                        prop_assert_eq!(&*before, &body);
                    }
                }
            }
        }
    }
}
