//! Where audio goes.

use super::*;

#[test]
fn pictures_and_sound_before_the_first_keyframe_are_dropped() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .tail(0, 400)
        .video(400, 2400, &[])
        .audio(0, 2400)
        .interleave(0)
        .cut();
    assert_eq!(shape(&segments), [(400, 2000, 50, 100)]);
    assert!(segments[0].independent && segments[0].video[0].idr);
}

#[test]
fn audio_that_lags_a_little_is_waited_for() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 6000, &[2000, 4000])
        .audio(0, 6000)
        .interleave(250)
        .cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 2000, 50, 100)
        ]
    );
}

#[test]
fn audio_that_lags_far_holds_nothing_up() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let mut out = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 6040, &[2000, 4000, 6000])
        .audio(0, 5240)
        .interleave(800)
        .send(&mut segmenter);
    assert_eq!(out.len(), 3, "the third left when the fourth began");
    segmenter.flush(&mut out);
    let frames: usize = out.iter().map(|s| s.audio.len()).sum();
    assert_eq!(frames, 262, "and nothing is lost");
}

#[test]
fn audio_far_too_late_is_dropped_and_said_so() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let _ = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 6040, &[2000, 4000, 6000])
        .send(&mut segmenter);
    let late = segmenter.push(sound(2000), &mut Vec::new());
    assert_eq!(late, Err(SegmenterError::AudioLate(at(2000), at(6000))));
}

#[test]
fn audio_alone_is_cut_on_the_grid() {
    let mut events = vec![MediaEvent::AudioConfig(audio_config(44_100))];
    // 1024 samples at 44.1 kHz, rounded to milliseconds as RTMP does.
    events.extend((0..600).map(|n| sound(n * 1024 * 1000 / 44_100)));
    let segments = Publisher(events).cut();
    let starts: Vec<_> = segments.iter().map(|s| (s.start.0 - BASE) / 90).collect();
    assert_eq!(starts, [0, 2020, 4017, 6013, 8010, 10_007, 12_004]);
    assert_eq!(targets(&segments), [2]);
    assert!(segments.iter().all(|s| s.independent && s.video.is_empty()));
}

#[test]
fn audio_alone_begins_after_the_wait_for_video() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let out = Publisher::default()
        .audio_config(48_000)
        .audio(0, 2020)
        .send(&mut segmenter);
    assert_eq!(shape(&out), [(0, 2000, 0, 100)]);
}

#[test]
fn audio_announced_after_the_first_picture_belongs_to_the_stream() {
    let mut events = Publisher::default().video_config(640).video(0, 80, &[]).0;
    events.extend(
        Publisher::default()
            .audio_config(48_000)
            .tail(80, 2000)
            .audio(80, 2000)
            .interleave(0)
            .0,
    );
    let segments = Publisher(events).cut();
    assert_eq!(shape(&segments), [(0, 2000, 50, 96)]);
    assert_eq!(flags(&segments), [(true, false)]);
}

#[test]
fn audio_that_is_sent_far_ahead_is_no_stall() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 8000, &[2000, 4000, 6000])
        .audio(0, 8000)
        .interleave(-1600)
        .cut();
    let whole = |n: i64| (n * 2000, 2000, 50, 100);
    assert_eq!(shape(&segments), [0, 1, 2, 3].map(whole));
    assert!(segments.iter().all(|s| s.independent));
}

#[test]
fn audio_goes_on_while_the_video_stalls() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 4600, &[2000, 4000])
        .audio(0, 14_000)
        .interleave(0);
    let mut events = segments.0;
    events.extend(Publisher::default().video(12_000, 14_000, &[]).0);
    let segments = Publisher(Publisher(events).interleave(0).0).cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 2000, 15, 100),
            (6000, 2000, 0, 100),
            (8000, 2000, 0, 100),
            (10_000, 2000, 0, 100),
            (12_000, 2000, 50, 100)
        ]
    );
    let independent: Vec<_> = segments.iter().map(|s| s.independent).collect();
    assert_eq!(independent, [true, true, true, false, false, false, true]);
}
