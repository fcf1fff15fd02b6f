use std::time::Instant;

use rackcast_route::table::PickReason;
use rackcast_segment::id::StreamId;

use super::{Config, ms, simple};
use crate::explain::store::{Limit, Store};

struct Kept {
    store: Store,
    config: Config,
    dropped: Vec<(Limit, usize)>,
    now: Instant,
}

impl Kept {
    fn new(config: Config) -> Self {
        Self {
            store: Store::default(),
            config,
            dropped: Vec::new(),
            now: Instant::now(),
        }
    }

    fn add(&mut self, stream: &str, sequence: u64) {
        let record = simple(stream, sequence, "a", PickReason::Kept).into();
        self.now += ms(1);
        let dropped = &mut self.dropped;
        self.store
            .add(record, &self.config, self.now, |limit, count| {
                dropped.push((limit, count));
            });
    }

    fn of(&self, stream: &str) -> Vec<u64> {
        let id: StreamId = stream.parse().unwrap();
        let records = self.store.of(&id).unwrap_or_default();
        records.iter().map(|r| r.sequence.0).collect()
    }
}

#[test]
fn the_oldest_segment_of_a_stream_goes_first() {
    let mut kept = Kept::new(Config {
        segments_per_stream: 3,
        ..Config::default()
    });
    for n in [1, 2, 4, 3, 5] {
        kept.add("live/a", n);
    }
    kept.add("live/b", 1);
    // In the order of the segments, which is not that in which they ended.
    assert_eq!(kept.of("live/a"), [3, 4, 5]);
    assert_eq!(kept.of("live/b"), [1]);
    assert_eq!(kept.dropped, [(Limit::Segments, 1); 2]);
    assert_eq!((kept.store.streams(), kept.store.segments()), (2, 4));
}

#[test]
fn the_stream_that_was_silent_for_the_longest_makes_room_for_a_new_one() {
    let mut kept = Kept::new(Config {
        max_streams: 2,
        ..Config::default()
    });
    for stream in ["live/a", "live/b", "live/a", "live/c", "live/c"] {
        kept.add(stream, 1);
    }
    assert_eq!(kept.of("live/b"), [0; 0]);
    assert_eq!((kept.of("live/a").len(), kept.of("live/c").len()), (2, 2));
    assert_eq!(kept.dropped, [(Limit::Streams, 1)]);
}

#[test]
fn bytes_are_bounded_over_all_streams() {
    let one = simple("live/a", 1, "a", PickReason::Kept).bytes();
    let mut kept = Kept::new(Config {
        max_bytes: 3 * one,
        ..Config::default()
    });
    for (stream, n) in [("live/a", 1), ("live/b", 1), ("live/b", 2), ("live/b", 3)] {
        kept.add(stream, n);
    }
    assert_eq!(kept.of("live/a"), [0; 0], "the oldest of all");
    assert_eq!(kept.of("live/b"), [1, 2, 3]);
    assert_eq!((kept.store.streams(), kept.store.bytes()), (1, 3 * one));
    assert_eq!(kept.dropped, [(Limit::Bytes, 1)]);

    let mut tiny = Kept::new(Config {
        max_bytes: 1,
        ..Config::default()
    });
    tiny.add("live/a", 1);
    assert_eq!((tiny.store.streams(), tiny.store.bytes()), (0, 0));
}

#[test]
fn a_stream_that_ended_is_remembered_for_a_while() {
    let mut kept = Kept::new(Config {
        keep: ms(100),
        ..Config::default()
    });
    kept.add("live/a", 1);
    kept.add("live/a", 2);
    let (a, config) = (kept.now, kept.config.clone());
    kept.now += ms(50);
    kept.add("live/b", 1);
    assert_eq!(kept.store.sweep(&config, a + ms(99)), 0);
    assert_eq!(kept.store.sweep(&config, a + ms(100)), 2);
    assert_eq!((kept.of("live/a").len(), kept.of("live/b").len()), (0, 1));
    assert_eq!(kept.store.sweep(&config, a + ms(500)), 1);
    assert_eq!((kept.store.bytes(), kept.store.segments()), (0, 0));
}

#[test]
fn an_ordinary_segment_takes_about_two_kilobytes() {
    let bytes = simple("live/a", 1, "a", PickReason::Kept).bytes();
    assert!((500..2500).contains(&bytes), "{bytes}");
}
