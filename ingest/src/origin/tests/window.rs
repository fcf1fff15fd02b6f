//! What is listed, and for how long.

use super::*;

#[test]
fn a_rendition_lists_up_to_the_first_that_is_open() {
    let rig = Rig::new(Config::default());
    for n in 0..3 {
        rig.add(Rig::info(n));
    }
    assert!(rig.settle(1, "720p", Rendered::Media(video_ts(900_000, 50))));
    assert_eq!(rig.listed("source"), "0 1 2");
    assert_eq!(rig.listed("audio"), "0 1 2");
    assert_eq!(rig.listed("720p"), "404");
    assert_eq!(rig.get("7/720p/1.ts").0, 404, "not before it is listed");
    assert!(rig.settle(0, "720p", Rendered::Gap));
    assert_eq!(rig.listed("720p"), "-0 1");
    assert_eq!(rig.get("7/720p/1.ts").0, 200);
    assert!(
        !rig.settle(0, "720p", Rendered::Media(video_ts(900_000, 50))),
        "late"
    );
    assert_eq!(rig.get("7/720p/0.ts").0, 404, "a gap stays one");
    assert!(
        !rig.settle(1, "720p", Rendered::Gap),
        "and media stays media"
    );
    assert!(!rig.settle(1, "source", Rendered::Gap));
    assert!(!rig.settle(1, "144p", Rendered::Gap));
    assert!(!rig.settle(9, "720p", Rendered::Gap));
}

#[test]
fn what_is_not_independent_is_a_gap_but_in_the_source() {
    let rig = Rig::small();
    rig.whole(0);
    rig.add(SegmentInfo {
        independent: false,
        ..Rig::info(1)
    });
    assert_eq!(rig.listed("720p"), "0 -1");
    assert_eq!(rig.listed("source"), "0 1");
    assert!(!rig.list("source").contains("INDEPENDENT"));
    assert!(rig.list("720p").contains("INDEPENDENT"));
    assert!(rig.list("audio").contains("INDEPENDENT"));
}

#[test]
fn the_window_slides_for_all_alike() {
    let rig = Rig::small();
    for n in 0..5 {
        rig.add(SegmentInfo {
            discontinuity: n == 1,
            ..Rig::info(n)
        });
        assert!(rig.settle(n, "720p", Rendered::Gap));
        assert!(rig.settle(n, "360p", Rendered::Gap));
        if n == 3 {
            assert_eq!(rig.listed("source"), "1 2 3");
            assert_eq!(rig.get("7/source/0.ts").0, 200, "kept for slow players");
        }
    }
    assert_eq!(rig.listed("source"), "2 3 4");
    assert_eq!(rig.listed("720p"), "-2 -3 -4");
    assert_eq!(rig.get("7/source/0.ts").0, 404);
    assert_eq!(rig.get("7/source/1.ts").0, 200);
    for rendition in ["source", "audio", "720p"] {
        let text = rig.list(rendition);
        assert!(text.contains("MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    }
}

#[test]
fn the_window_waits_for_the_slowest_up_to_a_bound() {
    let rig = Rig::small();
    for n in 0..12 {
        rig.add(Rig::info(n));
        assert!(rig.settle(n, "720p", Rendered::Gap));
    }
    assert_eq!(rig.listed("source"), "0 1 2 3 4 5 6 7 8 9 10 11");
    assert_eq!(rig.listed("360p"), "404");
    rig.add(Rig::info(12));
    assert_eq!(rig.listed("source"), "1 2 3 4 5 6 7 8 9 10 11 12");
    let late = rig.settle(0, "360p", Rendered::Media(video_ts(900_000, 50)));
    assert!(!late, "what left the list unsettled is a gap");
    for n in 1..12 {
        assert!(rig.settle(n, "360p", Rendered::Gap));
    }
    assert_eq!(rig.listed("source"), "9 10 11 12");
    assert_eq!(rig.listed("360p"), "-9 -10 -11");
}

#[test]
fn short_segments_stay_until_three_target_durations_are_listed() {
    let rig = Rig::small();
    for n in 0..10 {
        rig.add(SegmentInfo {
            duration: Ticks(90_000),
            independent: false,
            ..Rig::info(n)
        });
    }
    assert_eq!(rig.listed("source"), "4 5 6 7 8 9");
}

#[test]
fn memory_has_a_bound() {
    let rig = Rig::new(Config {
        max_bytes_per_stream: 3_500_000,
        ..Config::default()
    });
    for n in 0..6 {
        rig.add(Rig::info(n));
        assert!(rig.origin.memory.metrics.held.get() <= 3_500_000);
    }
    assert_eq!(rig.listed("source"), "3 4 5");
    assert_eq!(rig.get("7/source/2.ts").0, 404);
}

#[test]
fn a_stream_ends_when_everything_is_settled() {
    let rig = Rig::small();
    rig.whole(0);
    rig.add(Rig::info(1));
    rig.stream.end();
    assert!(rig.list("source").ends_with("#EXT-X-ENDLIST\n"));
    assert!(!rig.list("720p").contains("ENDLIST"));
    assert!(rig.settle(1, "720p", Rendered::Gap));
    assert!(rig.list("720p").ends_with("#EXT-X-ENDLIST\n"));
    rig.add(Rig::info(2));
    assert_eq!(rig.listed("source"), "0 1", "nothing follows an end");

    rig.origin.sweep(Instant::now() + Duration::from_secs(59));
    assert_eq!(rig.listed("source"), "0 1");
    rig.origin.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(rig.listed("source"), "404");
    assert_eq!(rig.origin.memory.metrics.held.get(), 0);
}

#[test]
fn a_producer_that_goes_away_leaves_the_playlists_open() {
    let rig = Rig::small();
    rig.whole(0);
    let Rig { origin, stream } = rig;
    drop(stream);
    let text = |origin: &Origin| {
        let stream = origin.find(&id())?;
        lock(&stream)
            .shown()
            .page(&presentation::Page::Media(name("source")))
    };
    let listed = text(&origin).unwrap();
    assert!(listed.body.ends_with(b"7/source/0.ts\n"));
    origin.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(text(&origin), None);
}

#[test]
fn another_epoch_carries_the_playlists_on() {
    let mut rig = Rig::small();
    rig.whole(0);
    rig.add(Rig::info(1));
    let next = rig.origin.first_sequence(&id(), Sequence(50));
    assert_eq!(next, Sequence(2), "it was not left");
    let mut later = info();
    later.first_sequence = next;
    later.ladder.remove(0);
    later.ladder.push(spec("240p", 320, 240, 400_000));
    let before = std::mem::replace(&mut rig.stream, rig.origin.open(id(), Epoch(8), &later));
    assert_eq!(rig.listed("360p"), "0 -1", "what was open is a gap");
    assert_eq!(rig.listed("720p"), "404", "no longer in the ladder");
    assert_eq!(rig.listed("240p"), "-0 -1");
    assert!(!before.rendition(Sequence(1), &name("360p"), Rendered::Gap));
    drop(before);

    rig.add(Rig::info(2));
    assert!(rig.settle(2, "360p", Rendered::Media(video_ts(900_000, 50))));
    let text = rig.list("360p");
    assert!(text.contains("../7/360p/1.ts\n#EXT-X-DISCONTINUITY\n"));
    assert!(
        text.ends_with("8/360p/2.ts\n"),
        "and the epoch before did not end it"
    );
    assert_eq!(rig.get("7/360p/0.ts").0, 200);
    assert_eq!(rig.get("8/360p/2.ts").0, 200);
    assert_eq!(rig.get("8/360p/0.ts").0, 404);
    assert_eq!(rig.get("7/360p/2.ts").0, 404);
}

#[test]
fn a_hole_between_epochs_begins_the_list_anew() {
    let mut rig = Rig::small();
    rig.whole(0);
    let mut later = info();
    later.first_sequence = Sequence(100);
    later.first_discontinuity = 9;
    rig.stream = rig.origin.open(id(), Epoch(8), &later);
    assert_eq!(rig.stream.discontinuity(), Some(9), "of the first to come");
    rig.add(Rig::info(100));
    assert_eq!(rig.stream.discontinuity(), Some(9));
    assert_eq!(rig.listed("source"), "100");
    let list = rig.list("source");
    assert!(list.contains("\n#EXT-X-DISCONTINUITY\n"));
    // Eight, and the one in the list: what others counted meanwhile is not counted again.
    let counted = "#EXT-X-DISCONTINUITY-SEQUENCE:8\n";
    assert!(list.contains(counted), "{list}");
    assert_eq!(rig.get("7/source/0.ts").0, 200);
}

#[test]
fn what_was_left_without_an_end_goes_on_by_the_clock() {
    let rig = Rig::small();
    rig.whole(0);
    let (origin, by_clock) = (&rig.origin, Sequence(50));
    assert_eq!(origin.first_sequence(&name_of("other"), by_clock), by_clock);
    drop(rig.stream);
    assert_eq!(origin.first_sequence(&id(), by_clock), by_clock);
    assert_eq!(origin.first_sequence(&id(), Sequence(0)), Sequence(1));
}

fn name_of(stream: &str) -> StreamId {
    format!("live/{stream}").parse().unwrap()
}
