//! The publisher's clock.

use std::time::Duration;

use rackcast_ingest::rtmp::clock::{Clock, ORIGIN, SampleGrid, Track};
use rackcast_segment::time::{Ticks, Timestamp};

fn clock() -> Clock {
    Clock::new(Duration::from_secs(30))
}

fn after(millis: i64) -> Timestamp {
    ORIGIN + Ticks::from_millis(millis)
}

#[test]
fn a_publication_begins_at_ten_seconds() {
    let (mut clock, mut video, mut audio) = (clock(), Track::default(), Track::default());
    assert_eq!(clock.place(&mut video, 123_456).at, ORIGIN);
    assert_eq!(clock.place(&mut audio, 123_446).at, after(-10));
    assert_eq!(clock.place(&mut video, 123_496).at, after(40));
}

#[test]
fn milliseconds_wrap() {
    let (mut clock, mut video, mut audio) = (clock(), Track::default(), Track::default());
    assert_eq!(clock.place(&mut video, 0xffff_fff0).at, ORIGIN);
    assert_eq!(clock.place(&mut video, 0x18).at, after(40));
    assert_eq!(
        clock.place(&mut audio, 0xffff_fff5).at,
        after(5),
        "still before the wrap"
    );
    assert_eq!(clock.place(&mut audio, 0x10).at, after(32));
}

#[test]
fn a_clock_set_back_moves_both_tracks_alike() {
    let (mut clock, mut video, mut audio) = (clock(), Track::default(), Track::default());
    for t in (0..=60_000).step_by(40) {
        clock.place(&mut video, t);
        clock.place(&mut audio, t);
    }
    let looped = clock.place(&mut video, 0);
    assert_eq!(looped.at, after(60_040));
    assert_eq!(looped.step, Some(Ticks::from_millis(60_040)));
    let late = clock.place(&mut audio, 60_020);
    assert_eq!(
        (late.at, late.step),
        (after(60_020), None),
        "audio of the first round"
    );
    assert_eq!(clock.place(&mut video, 40).at, after(60_080));
    let follows = clock.place(&mut audio, 5);
    assert_eq!(follows.at, after(60_045), "in step with the video");
    assert_eq!(follows.step, Some(Ticks::from_millis(60_040)));
}

#[test]
fn a_gap_is_kept_and_a_leap_is_not() {
    let (mut clock, mut video) = (clock(), Track::default());
    clock.place(&mut video, 0);
    clock.place(&mut video, 40);
    assert_eq!(
        clock.place(&mut video, 20_040).at,
        after(20_040),
        "20 s of silence"
    );
    let leap = clock.place(&mut video, 3_600_000);
    assert!(leap.step.is_some());
    assert!(leap.at > after(20_040) && leap.at < after(21_000));
}

#[test]
fn a_track_may_pause_for_as_long_as_the_other_goes_on() {
    let (mut clock, mut runs, mut pauses) = (clock(), Track::default(), Track::default());
    for t in (0..=100_000u32).step_by(40) {
        assert_eq!(clock.place(&mut runs, t).step, None);
        if !(20_000..60_000).contains(&t) {
            let placed = clock.place(&mut pauses, t);
            assert_eq!((placed.at, placed.step), (after(t.into()), None));
        }
    }
}

#[test]
fn a_track_that_paused_goes_by_the_clock_that_was_set_meanwhile() {
    // Set back or far ahead, while the other track was silent.
    for reset in [0u32, 25_000, 3_600_000] {
        let (mut clock, mut runs, mut pauses) = (clock(), Track::default(), Track::default());
        for t in (0..=30_000).step_by(40) {
            clock.place(&mut runs, t);
            if t <= 10_000 {
                clock.place(&mut pauses, t);
            }
        }
        for t in (0..=20_000).step_by(40) {
            clock.place(&mut runs, reset + t);
        }
        let back = clock.place(&mut pauses, reset + 20_000);
        assert_eq!(back.at, after(30_000 + 40 + 20_000), "set to {reset}");
        assert_eq!(back.at, clock.place(&mut runs, reset + 20_000).at);
    }
}

#[test]
fn a_clock_set_anew_after_a_pause_goes_on_where_the_other_track_is() {
    let (mut clock, mut runs, mut pauses) = (clock(), Track::default(), Track::default());
    clock.place(&mut pauses, 0);
    for t in (0..=60_000).step_by(40) {
        clock.place(&mut runs, t);
    }
    let back = clock.place(&mut pauses, 3_600_000);
    assert_eq!(back.at, after(60_020));
    assert_eq!(clock.place(&mut runs, 3_600_020).at, after(60_040));
}

#[test]
fn a_track_that_began_before_the_other_keeps_its_head_start() {
    let (mut clock, mut video, mut audio) = (clock(), Track::default(), Track::default());
    clock.place(&mut video, 4_000);
    for t in (0..4_000).step_by(20) {
        let placed = clock.place(&mut audio, t);
        assert_eq!(
            (placed.at, placed.step),
            (after(i64::from(t) - 4_000), None)
        );
    }
}

#[test]
fn jitter_backwards_is_not_a_new_clock() {
    let (mut clock, mut video) = (clock(), Track::default());
    clock.place(&mut video, 1000);
    let back = clock.place(&mut video, 990);
    assert_eq!((back.at, back.step), (after(-10), None));
}

#[test]
fn any_timestamps_at_all_are_survived() {
    let (mut clock, mut video, mut audio) = (clock(), Track::default(), Track::default());
    let mut last = Timestamp(0);
    for i in 0..100_000u32 {
        let wild = i.wrapping_mul(2_654_435_761);
        let at = clock.place(&mut video, wild).at;
        clock.place(&mut audio, !wild);
        assert!(
            at >= last - Ticks::from_millis(100),
            "{i}: {at:?} after {last:?}"
        );
        last = last.max(at);
    }
}

#[test]
fn audio_frames_lie_1024_samples_apart() {
    for rate in [44_100u32, 48_000, 22_050] {
        let mut grid = SampleGrid::new(rate);
        for n in 0..10_000i64 {
            let exact = n * 1024 * 90_000 / i64::from(rate);
            let sent = Ticks::from_millis(n * 1024 * 1000 / i64::from(rate));
            let placed = grid.place(ORIGIN + sent).unwrap();
            assert_eq!(placed, ORIGIN + Ticks(exact), "frame {n} at {rate}");
        }
    }
}

#[test]
fn a_lost_audio_frame_leaves_its_gap() {
    let mut grid = SampleGrid::new(48_000);
    assert_eq!(grid.place(after(0)), Some(after(0)));
    assert_eq!(grid.place(after(21)), Some(ORIGIN + Ticks(1920)));
    assert_eq!(
        grid.place(after(64)),
        Some(after(64)),
        "42 ms were lost or one frame"
    );
    assert_eq!(grid.place(after(85)), Some(after(64) + Ticks(1920)));
}

#[test]
fn more_sound_than_time_is_dropped_and_not_queued() {
    let mut grid = SampleGrid::new(48_000);
    let placed = (0..1000)
        .filter_map(|n| grid.place(after(n * 10)))
        .collect::<Vec<_>>();
    let ahead = *placed.last().unwrap() - after(9_990);
    assert!(ahead <= Ticks::from_millis(125), "{ahead:?}");
    assert!(placed.windows(2).all(|w| w[1] - w[0] == Ticks(1920)));
}
