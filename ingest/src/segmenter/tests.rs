use super::*;

use bytes::Bytes;
use proptest::prelude::*;
use rackcast_segment::media::VideoFormat;
use rackcast_segment::shape::{Colour, Ratio};

/// A publisher: every helper appends to what it sends, in milliseconds of a timeline that
/// begins at 10 s.
#[derive(Default)]
struct Publisher(Vec<MediaEvent>);

const BASE: i64 = 900_000;

fn at(ms: i64) -> Timestamp {
    Timestamp(BASE + ms * 90)
}

fn video_config(width: u32) -> VideoConfig {
    VideoConfig {
        sps: Bytes::from_static(b"sps"),
        pps: Bytes::from_static(b"pps"),
        format: VideoFormat {
            width,
            height: 360,
            profile_idc: 100,
            constraints: 0,
            level_idc: 30,
            frame_rate: None,
            sample_aspect: Ratio::ONE,
            colour: Colour::default(),
            interlaced: false,
        },
    }
}

fn audio_config(sample_rate: u32) -> AudioConfig {
    AudioConfig {
        asc: Bytes::from_static(&[0x11, 0x90]),
        object_type: 2,
        sample_rate,
        channels: 2,
    }
}

fn picture(pts: i64, dts: i64, idr: bool) -> MediaEvent {
    MediaEvent::Video(AccessUnit {
        pts: at(pts),
        dts: at(dts),
        idr,
        data: Bytes::from_static(&[0; 100]),
    })
}

fn sound(pts: i64) -> MediaEvent {
    MediaEvent::Audio(AudioFrame {
        pts: at(pts),
        data: Bytes::from_static(&[0; 10]),
    })
}

impl Publisher {
    fn video_config(mut self, width: u32) -> Self {
        self.0.push(MediaEvent::VideoConfig(video_config(width)));
        self
    }

    fn audio_config(mut self, rate: u32) -> Self {
        self.0.push(MediaEvent::AudioConfig(audio_config(rate)));
        self
    }

    /// Pictures 40 ms apart from `from` to `to`, an IDR first and at each of `keys`.
    fn video(mut self, from: i64, to: i64, keys: &[i64]) -> Self {
        for ms in (from..to).step_by(40) {
            self.0
                .push(picture(ms, ms, ms == from || keys.contains(&ms)));
        }
        self
    }

    /// Pictures without an IDR.
    fn tail(mut self, from: i64, to: i64) -> Self {
        for ms in (from..to).step_by(40) {
            self.0.push(picture(ms, ms, false));
        }
        self
    }

    /// Audio frames 20 ms apart.
    fn audio(mut self, from: i64, to: i64) -> Self {
        self.0.extend((from..to).step_by(20).map(sound));
        self
    }

    /// Sorts what was appended by time, as a publisher interleaves it; audio `lag` later.
    fn interleave(mut self, lag: i64) -> Self {
        self.0.sort_by_key(|e| match e {
            MediaEvent::VideoConfig(_) | MediaEvent::AudioConfig(_) => i64::MIN,
            MediaEvent::Video(p) => p.dts.0,
            MediaEvent::Audio(f) => f.pts.0 + lag * 90,
        });
        self
    }

    /// Sends it all to a fresh segmenter, and flushes.
    fn cut(self) -> Vec<Segment> {
        let mut segmenter = Segmenter::new(Config::default(), Sequence(7));
        let mut out = self.send(&mut segmenter);
        segmenter.flush(&mut out);
        out
    }

    fn send(self, segmenter: &mut Segmenter) -> Vec<Segment> {
        let mut out = Vec::new();
        for event in self.0 {
            segmenter.push(event, &mut out).expect("nothing is dropped");
        }
        out
    }
}

/// Start and duration in milliseconds, pictures, audio frames.
fn shape(segments: &[Segment]) -> Vec<(i64, i64, usize, usize)> {
    segments
        .iter()
        .map(|s| {
            let start = (s.start.0 - BASE) / 90;
            (start, s.duration.0 / 90, s.video.len(), s.audio.len())
        })
        .collect()
}

fn flags(segments: &[Segment]) -> Vec<(bool, bool)> {
    segments
        .iter()
        .map(|s| (s.independent, s.discontinuity))
        .collect()
}

fn targets(segments: &[Segment]) -> Vec<u32> {
    let mut all: Vec<_> = segments.iter().map(|s| s.target_duration).collect();
    all.dedup();
    all
}

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
        for pair in out.windows(2) {
            if !pair[1].discontinuity {
                prop_assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
                let rounded = (pair[0].duration.0 + 45_000) / 90_000;
                prop_assert!(rounded <= i64::from(pair[0].target_duration));
            }
        }
    }
}
