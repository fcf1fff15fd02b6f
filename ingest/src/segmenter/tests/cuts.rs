//! Where segments end.

use proptest::prelude::*;

use super::*;

#[test]
fn cuts_at_keyframes_with_audio_in_its_place() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 6000, &[2000, 4000])
        .audio(0, 6000)
        .interleave(0)
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 2000, 50, 100)
        ]
    );
    assert_eq!(flags(&segments), [(true, false); 3]);
    assert_eq!(targets(&segments), [2]);
    let numbers: Vec<_> = segments.iter().map(|s| s.sequence.0).collect();
    assert_eq!(numbers, [7, 8, 9]);
}

#[test]
fn a_keyframe_before_the_target_does_not_cut_and_a_wobble_does() {
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 6000, &[1000, 1920, 3000, 3840, 5000])
        .cut();
    assert_eq!(
        shape(&segments),
        [(0, 1920, 48, 0), (1920, 1920, 48, 0), (3840, 2160, 54, 0)]
    );
}

#[test]
fn the_first_segment_waits_for_the_second_gop_and_no_longer() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let first = Publisher::default()
        .video_config(640)
        .video(0, 5000, &[2000])
        .send(&mut segmenter);
    assert_eq!(first, []);
    assert_eq!(segmenter.next_sequence(), Sequence(0));
    let at_second = Publisher(vec![picture(5000, 5000, true)]).send(&mut segmenter);
    assert_eq!(shape(&at_second), [(0, 2000, 50, 0), (2000, 3000, 75, 0)]);
    assert_eq!(targets(&at_second), [3]);

    let mut short = Segmenter::new(Config::default(), Sequence(0));
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 2040, &[1000, 2000])
        .send(&mut short);
    assert_eq!(shape(&segments), [(0, 2000, 50, 0)], "no wait");
}

#[test]
fn an_over_long_gop_is_cut_at_the_target_duration() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 12_000, &[2000, 4000, 10_000])
        .audio(0, 12_000)
        .interleave(0)
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 2000, 50, 100),
            (6000, 2000, 50, 100),
            (8000, 2000, 50, 100),
            (10_000, 2000, 50, 100)
        ]
    );
    let independent: Vec<_> = segments.iter().map(|s| s.independent).collect();
    assert_eq!(independent, [true, true, true, false, false, true]);
    assert_eq!(targets(&segments), [2]);
}

#[test]
fn after_a_piece_the_next_keyframe_cuts_at_once() {
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 9000, &[2000, 4000, 7000])
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 0),
            (2000, 2000, 50, 0),
            (4000, 2000, 50, 0),
            (6000, 1000, 25, 0),
            (7000, 2000, 50, 0)
        ]
    );
    assert_eq!(
        segments.iter().map(|s| s.independent).collect::<Vec<_>>(),
        [true, true, true, false, true]
    );
}

#[test]
fn a_keyframe_inside_is_a_better_cut_than_the_target_duration() {
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 8000, &[2000, 4000, 5000, 7000])
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 0),
            (2000, 2000, 50, 0),
            (4000, 1000, 25, 0),
            (5000, 2000, 50, 0),
            (7000, 1000, 25, 0)
        ]
    );
    assert!(segments.iter().all(|s| s.independent));
}

#[test]
fn a_gop_that_rounds_to_the_target_duration_is_not_over_long() {
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 8480, &[2000, 4000, 6480])
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 0),
            (2000, 2000, 50, 0),
            (4000, 2480, 62, 0),
            (6480, 2000, 50, 0)
        ]
    );
}

#[test]
fn the_first_gops_without_end_are_bounded() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 20_000, &[])
        .send(&mut segmenter);
    assert_eq!(shape(&segments), [(0, 8000, 200, 0), (8000, 8000, 200, 0)]);
    assert_eq!(flags(&segments), [(true, false), (false, false)]);
    assert_eq!(targets(&segments), [8]);
}

#[test]
fn b_frames_are_never_torn_from_their_piece() {
    // I0 P3 B1 B2 P6 B4 B5 ...: decoding order, 40 ms a picture, decoded 80 ms before shown.
    let mut events = vec![
        MediaEvent::VideoConfig(video_config(640)),
        picture(80, 0, true),
    ];
    let mut dts = 40;
    for group in 0..75 {
        for shown in [3, 1, 2] {
            let pts = 80 + (group * 3 + shown) * 40;
            events.push(picture(pts, dts, false));
            dts += 40;
        }
    }
    let segments = Publisher(events).cut();
    let total: usize = segments.iter().map(|s| s.video.len()).sum();
    assert_eq!(total, 226);
    for pair in segments.windows(2) {
        let last = pair[0].video.iter().map(|p| p.pts).max().unwrap();
        let first = pair[1].video.iter().map(|p| p.pts).min().unwrap();
        assert!(last < first, "shown in one piece each");
        assert_eq!(first, pair[1].start);
        assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
    }
    assert!(segments[0].duration.0 <= 8 * 90_000);
}

#[test]
fn a_slide_show_keeps_its_time() {
    let mut events = vec![MediaEvent::VideoConfig(video_config(640))];
    events.extend((0..6).map(|n| picture(n * 5000, n * 5000, true)));
    let segments = Publisher(events).cut();
    assert_eq!(targets(&segments), [5]);
    let mut expected: Vec<_> = (0..5).map(|n| (n * 5000, 5000, 1, 0)).collect();
    expected.push((25_000, 40, 1, 0));
    assert_eq!(
        shape(&segments),
        expected,
        "nothing says how long the last one lasts"
    );
}

#[test]
fn a_segment_has_a_largest_size() {
    let config = Config {
        max_frames: 64,
        ..Config::default()
    };
    let mut segmenter = Segmenter::new(config, Sequence(0));
    let mut events = vec![MediaEvent::VideoConfig(video_config(640))];
    events.extend((0..200).map(|n| picture(n, n, n == 0)));
    let out = Publisher(events).send(&mut segmenter);
    assert_eq!(
        shape(&out),
        [(0, 64, 64, 0), (64, 64, 64, 0), (128, 64, 64, 0)]
    );
    assert_eq!(
        out.iter().map(|s| s.independent).collect::<Vec<_>>(),
        [true, false, false]
    );
}

#[test]
fn the_last_segment_is_no_longer_than_the_target_duration() {
    // Pictures that became rare, and then the publisher was lost.
    let mut rare = Publisher::default()
        .video_config(640)
        .video(0, 4300, &[2000, 4000]);
    rare.0.push(picture(6400, 6400, false));
    let segments = rare.cut();
    let last = segments.last().unwrap();
    assert_eq!(targets(&segments), [2]);
    assert!((2400 * 90..2500 * 90).contains(&last.duration.0));
    // Lost in the first GOP: it decides.
    let first = Publisher::default().video_config(640).video(0, 5000, &[]);
    let segments = first.cut();
    assert_eq!(shape(&segments), [(0, 5000, 125, 0)]);
    assert_eq!(targets(&segments), [5]);
}

proptest! {
    /// Whatever comes, in whatever order: starts and durations make one line, every segment
    /// rounds to the target duration at most, numbers have no hole and memory is bounded.
    #[test]
    fn the_line_has_no_holes(
        steps in prop::collection::vec((0u8..8, 1i64..400, 0i64..200, any::<bool>()), 1..400)
    ) {
        let config = Config { max_frames: 100, ..Config::default() };
        let mut segmenter = Segmenter::new(config.clone(), Sequence(0));
        let mut out = Vec::new();
        let (mut video, mut audio) = (0, 0);
        for (kind, step, offset, idr) in steps {
            let event = match kind {
                0 => MediaEvent::VideoConfig(video_config(if idr && step < 20 { 1280 } else { 640 })),
                1 => MediaEvent::AudioConfig(audio_config(48_000)),
                2..=4 => {
                    video += step;
                    picture(video + offset, video, idr && step < 100)
                }
                _ => {
                    audio += step;
                    sound(audio)
                }
            };
            let _ = segmenter.push(event, &mut out);
        }
        segmenter.flush(&mut out);
        for (n, segment) in out.iter().enumerate() {
            prop_assert_eq!(segment.sequence.0, n as u64);
            prop_assert!(segment.duration.0 > 0);
            prop_assert!(segment.video.len() <= config.max_frames);
            prop_assert_eq!(segment.target_duration, out[0].target_duration);
        }
        for segment in &out {
            let rounded = (segment.duration.0 + 45_000) / 90_000;
            prop_assert!(rounded <= i64::from(segment.target_duration), "{:?}", segment.duration);
        }
        for pair in out.windows(2) {
            if !pair[1].discontinuity {
                prop_assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
            }
        }
    }
}
