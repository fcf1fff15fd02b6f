//! What happens when the publisher, its configuration or its clock changes.

use super::*;

#[test]
fn video_that_joins_later_is_a_discontinuity() {
    let segments = Publisher::default()
        .audio_config(48_000)
        .audio(0, 3000)
        .video_config(640)
        .video(3000, 5000, &[])
        .cut();
    assert_eq!(
        shape(&segments),
        [(0, 2000, 0, 100), (2000, 1000, 0, 50), (3000, 2000, 50, 0)]
    );
    assert_eq!(
        flags(&segments),
        [(true, false), (true, false), (true, true)]
    );
    assert!(segments[1].video_config.is_none() && segments[2].video_config.is_some());
}

#[test]
fn a_new_video_configuration_cuts_at_its_keyframe() {
    let segments = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 5000, &[2000, 4000])
        .audio(0, 5000)
        .interleave(0);
    let mut events = segments.0;
    events.push(MediaEvent::VideoConfig(video_config(1280)));
    events.push(picture(5000, 5000, false));
    events.extend(
        Publisher::default()
            .video(5040, 7040, &[])
            .audio(5000, 7040)
            .interleave(0)
            .0,
    );
    let segments = Publisher(events).cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 1040, 25, 52),
            (5040, 2000, 50, 100)
        ]
    );
    let widths: Vec<_> = segments
        .iter()
        .map(|s| s.video_config.as_ref().unwrap().format.width)
        .collect();
    assert_eq!(widths, [640, 640, 640, 1280]);
    assert_eq!(flags(&segments)[3], (true, true));
}

#[test]
fn a_new_audio_configuration_waits_for_the_next_keyframe() {
    let mut events = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 3000, &[2000])
        .audio(0, 3000)
        .interleave(0)
        .0;
    events.extend(
        Publisher::default()
            .audio_config(32_000)
            .tail(3000, 4000)
            .audio(3000, 6000)
            .interleave(0)
            .0,
    );
    events.extend(Publisher::default().video(4000, 6000, &[]).0);
    events.sort_by_key(|e| match e {
        MediaEvent::Video(p) => p.dts.0,
        MediaEvent::Audio(f) => f.pts.0,
        MediaEvent::AudioConfig(c) if c.sample_rate == 32_000 => at(3000).0 - 1,
        _ => i64::MIN,
    });
    let segments = Publisher(events).cut();
    assert_eq!(
        shape(&segments),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 50),
            (4000, 2000, 50, 100)
        ]
    );
    assert_eq!(flags(&segments)[2], (true, true));
}

#[test]
fn a_returning_publisher_continues_with_a_discontinuity() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let mut out = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 4600, &[2000, 4000])
        .audio(0, 4600)
        .interleave(0)
        .send(&mut segmenter);
    segmenter.flush(&mut out);
    segmenter.resume();
    assert_eq!(
        segmenter.push(picture(9000, 9000, true), &mut out),
        Err(SegmenterError::NoConfig)
    );
    out.extend(
        Publisher::default()
            .video_config(640)
            .video(9000, 11_000, &[])
            .send(&mut segmenter),
    );
    segmenter.flush(&mut out);
    assert_eq!(
        shape(&out),
        [
            (0, 2000, 50, 100),
            (2000, 2000, 50, 100),
            (4000, 600, 15, 30),
            (9000, 2000, 50, 0)
        ]
    );
    assert_eq!(flags(&out)[3], (true, true));
    assert_eq!(segmenter.next_sequence(), Sequence(4));
    assert_eq!(targets(&out), [2]);
}

#[test]
fn a_returning_publisher_may_be_heard_before_it_is_seen() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let mut out = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 4000, &[2000])
        .audio(0, 4000)
        .interleave(0)
        .send(&mut segmenter);
    segmenter.flush(&mut out);
    segmenter.resume();
    let mut back = Publisher::default()
        .audio_config(48_000)
        .audio(9000, 12_000);
    back.0.extend(
        Publisher::default()
            .video_config(640)
            .video(12_000, 14_000, &[])
            .audio(12_000, 14_000)
            .interleave(0)
            .0,
    );
    out.extend(back.send(&mut segmenter));
    segmenter.flush(&mut out);
    assert_eq!(
        shape(&out)[2..],
        [(12_000, 2000, 50, 100)],
        "no segment without pictures"
    );
    assert!(out.iter().all(|s| s.video_config.is_some()));
}

#[test]
fn a_jump_without_a_word_is_a_discontinuity_too() {
    let segments = Publisher::default()
        .video_config(640)
        .video(0, 2000, &[])
        .tail(3_600_000, 3_600_200)
        .video(3_600_200, 3_602_200, &[])
        .cut();
    assert_eq!(
        shape(&segments),
        [(0, 2000, 50, 0), (3_600_200, 2000, 50, 0)]
    );
    assert_eq!(flags(&segments), [(true, false), (true, true)]);
}

#[test]
fn a_clock_that_stands_drops_what_it_stamps() {
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let mut out = Publisher::default()
        .video_config(640)
        .audio_config(48_000)
        .video(0, 400, &[])
        .audio(0, 400)
        .send(&mut segmenter);
    assert_eq!(
        segmenter.push(picture(360, 360, false), &mut out),
        Err(SegmenterError::VideoBackwards(at(360), at(360)))
    );
    assert_eq!(
        segmenter.push(sound(100), &mut out),
        Err(SegmenterError::AudioBackwards(at(100), at(380)))
    );
    assert_eq!(
        segmenter.push(picture(500, 600, false), &mut out),
        Err(SegmenterError::ShownBeforeDecoded(at(500), at(600)))
    );
    assert_eq!(
        segmenter.push(sound(60_000), &mut out),
        Err(SegmenterError::AudioAhead(at(60_000), at(360)))
    );
}
