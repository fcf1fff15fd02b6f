//! A publisher to cut, and how to say what came of it.

mod audio;
mod changes;
mod cuts;

use super::*;

use bytes::Bytes;
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
            samples: Default::default(),
            codec: Default::default(),
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
