//! A track that pauses while the other goes on, from messages to segments.

use std::collections::VecDeque;
use std::time::Duration;

use rackcast_ingest::rtmp::media::{Media, Output};
use rackcast_ingest::segmenter::{Config, Segment, Segmenter};
use rackcast_segment::id::Sequence;

use crate::support::{AVC_640X360, aac_config, aac_frame, avc_config, avc_picture};

/// Longer than `rtmp.max_gap`.
const PAUSE: std::ops::Range<u32> = 20_000..60_000;
const END: u32 = 80_000;

/// What is cut from a publisher, a keyframe every two seconds, of whom one track is silent in
/// [`PAUSE`], and whose clock is set anew in the middle of it if `reset`.
fn segments(video_pauses: bool, reset: bool) -> Vec<Segment> {
    let mut media = Media::new(100_000, Duration::from_secs(30));
    let mut outputs = VecDeque::new();
    media
        .video(0, &avc_config(AVC_640X360), &mut outputs)
        .unwrap();
    media.audio(0, &aac_config(), &mut outputs).unwrap();
    for n in 0..END / 10 {
        let ms = n * 10;
        let sent = if reset && ms >= 40_000 {
            ms - 40_000
        } else {
            ms
        };
        let silent = PAUSE.contains(&ms);
        if ms % 40 == 0 && !(silent && video_pauses) {
            let picture = avc_picture(ms % 2000 == 0, 0);
            media.video(sent, &picture, &mut outputs).unwrap();
        }
        if ms % 30 == 0 && (video_pauses || !silent) {
            media.audio(sent, &aac_frame(), &mut outputs).unwrap();
        }
    }
    let mut segmenter = Segmenter::new(Config::default(), Sequence(0));
    let mut out = Vec::new();
    for output in outputs {
        if let Output::Media(event) = output {
            segmenter.push(event, &mut out).unwrap();
        }
    }
    segmenter.flush(&mut out);
    out
}

/// Each segment behind the pause is whole again: pictures from an IDR on, and their own sound.
fn is_whole_again(segments: &[Segment]) {
    let back = segments.iter().rev().take(9).collect::<Vec<_>>();
    for segment in back {
        let end = segment.start + segment.duration;
        let within = segment.start..end;
        assert!(segment.independent, "{:?}", segment.start);
        assert!(segment.video.len() > 45 && segment.audio.len() > 60);
        assert!(segment.video.iter().all(|p| within.contains(&p.pts)));
        assert!(segment.audio.iter().all(|f| within.contains(&f.pts)));
    }
}

#[test]
fn sound_that_comes_back_after_40_s_is_heard() {
    is_whole_again(&segments(false, false));
}

#[test]
fn pictures_that_come_back_after_40_s_are_seen() {
    is_whole_again(&segments(true, false));
}

#[test]
fn a_clock_that_was_set_anew_meanwhile_keeps_both_together() {
    is_whole_again(&segments(true, true));
    is_whole_again(&segments(false, true));
}
