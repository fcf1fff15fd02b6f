//! Many streams in one memory.

use super::*;

const MB: usize = 1 << 20;

/// A stream of its own in the rig's origin.
fn another(rig: &Rig, name: &str) -> Arc<OriginStream> {
    let id = format!("live/{name}").parse().unwrap();
    rig.origin.open(id, Epoch(7), &info())
}

fn add(stream: &OriginStream, n: u64) {
    let source = Bytes::from(vec![2; MB]);
    stream.segment(Rig::info(n), Some(source), None);
}

/// Settles a segment in both renditions as gaps, so that the window can slide.
fn gaps(stream: &OriginStream, n: u64) {
    for rendition in ["720p", "360p"] {
        assert!(stream.rendition(Sequence(n), &name(rendition), Rendered::Gap));
    }
}

fn held(rig: &Rig) -> usize {
    rig.origin.memory.metrics.held.get() as usize
}

/// Numbers of a stream's segments that can be fetched.
fn there(rig: &Rig, stream: &str) -> Vec<u64> {
    let fetched = |n: &u64| {
        let path = format!("/live/{stream}/7/source/{n}.ts");
        let request = Request::get(path).body(()).unwrap();
        http::handle(&rig.origin, &request).status() == 200
    };
    (0..30).filter(fetched).collect()
}

/// Room for so many segments of 1 MiB; three listed, two kept.
fn rig(segments: usize) -> Rig {
    Rig::new(Config {
        listed: 3,
        kept: 2,
        max_bytes_per_stream: segments * MB,
        max_bytes: segments * MB,
        ..Config::default()
    })
}

#[test]
fn what_ended_goes_first_and_the_longest_ago_before_all() {
    let rig = rig(4);
    let (one, two) = (another(&rig, "one"), another(&rig, "two"));
    add(&one, 0);
    add(&two, 0);
    one.end();
    two.end();
    for n in 0..3 {
        add(&rig.stream, n);
    }
    assert_eq!(there(&rig, "one"), [0; 0]);
    assert_eq!(there(&rig, "two"), [0]);
    assert_eq!(there(&rig, "show"), [0, 1, 2]);
    add(&rig.stream, 3);
    assert_eq!(there(&rig, "two"), [0; 0]);
    assert_eq!(there(&rig, "show"), [0, 1, 2, 3]);
    assert_eq!(rig.origin.memory.metrics.streams.get(), 1);
}

#[test]
fn then_what_is_kept_and_then_what_is_listed_of_the_largest() {
    let rig = rig(8);
    let small = another(&rig, "small");
    add(&small, 0);
    for n in 0..5 {
        add(&rig.stream, n);
        gaps(&rig.stream, n);
    }
    assert_eq!(there(&rig, "show"), [0, 1, 2, 3, 4]);
    assert_eq!(rig.listed("source"), "2 3 4");
    for n in 1..5 {
        add(&small, n);
        gaps(&small, n - 1);
    }
    assert_eq!(there(&rig, "show"), [2, 3, 4], "what was listed stays");
    assert_eq!(there(&rig, "small"), [0, 1, 2, 3, 4]);
    assert_eq!(held(&rig), 8 * MB);
}

#[test]
fn a_result_without_room_is_a_gap_before_a_list_gets_too_short() {
    let rig = rig(3);
    for n in 0..3 {
        add(&rig.stream, n);
        gaps(&rig.stream, n.saturating_sub(1).max(n));
    }
    assert_eq!(rig.listed("source"), "0 1 2");
    let other = another(&rig, "other");
    let sequence = Sequence(0);
    other.segment(Rig::info(0), None, None);
    let media = Rendered::Media(Bytes::from(vec![0; MB]));
    assert!(other.rendition(sequence, &name("720p"), media));
    assert_eq!(rig.listed("source"), "0 1 2", "three target durations");
    assert_eq!(held(&rig), 3 * MB, "the result is a gap");
}

#[test]
fn the_newest_of_each_stream_is_there_whatever_it_takes() {
    let rig = rig(2);
    let others = ["a", "b", "c"].map(|name| another(&rig, name));
    for n in 0..4 {
        for stream in others.iter().chain([&rig.stream]) {
            add(stream, n);
        }
    }
    for stream in ["a", "b", "c", "show"] {
        assert_eq!(there(&rig, stream), [3], "{stream}");
    }
}

#[test]
fn another_stream_needs_as_much_as_those_that_are_live() {
    let rig = rig(4);
    assert!(rig.origin.has_room_for_another());
    let other = another(&rig, "other");
    add(&rig.stream, 0);
    add(&other, 0);
    assert!(rig.origin.has_room_for_another());
    add(&rig.stream, 1);
    add(&other, 1);
    assert!(!rig.origin.has_room_for_another());
    other.end();
    assert!(rig.origin.has_room_for_another(), "what ended makes way");
}
