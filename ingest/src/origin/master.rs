//! Master playlists as text.
//!
//! Every rendition of the ladder stands in it from the start, whether a transcoder made
//! something of it yet or not: what it lacks is a gap in its own playlist. Variants are sorted
//! by what they declare, highest first. Audio is a group of its own, or, in the muxed form for
//! old players, inside every variant.

use std::cmp::Reverse;
use std::fmt::Write;

use rackcast_segment::id::{Epoch, RenditionName};
use rackcast_segment::shape::Ratio;
use rackcast_segment::{aac, h264};

use super::info::StreamInfo;
use super::window::Track;

/// A line of the master playlist, before it is text.
struct Variant<'a> {
    name: &'a RenditionName,
    peak: u64,
    mean: u64,
    codecs: Vec<String>,
    /// What it is shown at, and frames a second.
    picture: Option<((u32, u32), Option<Ratio>)>,
}

/// The text of the master playlist of the presentation that began with the epoch `first`;
/// `muxed`: with the audio inside the variants.
pub(super) fn master(info: &StreamInfo, first: Epoch, tracks: &[Track], muxed: bool) -> String {
    let sound = tracks.iter().find(|t| t.name == RenditionName::audio());
    let sound = sound.zip(info.audio.as_deref());
    let mut variants: Vec<_> = tracks
        .iter()
        .filter_map(|track| variant(info, track))
        .collect();
    if let Some((track, config)) = sound {
        for variant in &mut variants {
            variant.peak += track.rate.peak();
            variant.mean += track.rate.mean();
            variant.codecs.push(aac::codec_string(config));
        }
        if variants.is_empty() {
            variants.push(Variant {
                name: &track.name,
                peak: track.rate.peak(),
                mean: track.rate.mean(),
                codecs: vec![aac::codec_string(config)],
                picture: None,
            });
        }
    }
    variants.sort_by_key(|v| Reverse(v.peak));

    let group = sound.filter(|_| !muxed && info.video.is_some());
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n");
    // Writing to a string cannot fail.
    if let Some((track, config)) = group {
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,\
             AUTOSELECT=YES,CHANNELS=\"{}\",URI=\"{first}/{}.m3u8\"",
            config.channels, track.name
        );
    }
    for v in variants {
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
            v.peak,
            v.mean,
            v.codecs.join(",")
        );
        if let Some(((width, height), rate)) = v.picture {
            let _ = write!(text, ",RESOLUTION={width}x{height}");
            if let Some(rate) = rate {
                let _ = write!(text, ",FRAME-RATE={:.3}", rate.as_f64());
            }
        }
        if group.is_some() {
            text.push_str(",AUDIO=\"audio\"");
        }
        let folder = if muxed { "muxed/" } else { "" };
        let _ = write!(text, "\n{folder}{first}/{}.m3u8\n", v.name);
    }
    text
}

/// A rendition with pictures.
fn variant<'a>(info: &StreamInfo, track: &'a Track) -> Option<Variant<'a>> {
    let source = info.video.as_ref()?;
    let rate = source.frame_rate;
    let (codec, width, height, aspect, rate) = if track.name == RenditionName::source() {
        let f = &source.format;
        let codec = h264::codec_string(f);
        (codec, f.width, f.height, f.sample_aspect, rate)
    } else {
        let spec = info.ladder.iter().find(|s| s.name == track.name)?;
        let (profile, constraints) = spec.profile.idc();
        let codec = format!("avc1.{profile:02x}{constraints:02x}{:02x}", spec.level_idc);
        let rate = rate.map(|rate| spec.frame_rate(rate));
        (codec, spec.width, spec.height, info.sample_aspect, rate)
    };
    Some(Variant {
        name: &track.name,
        peak: track.rate.peak(),
        mean: track.rate.mean(),
        codecs: vec![codec],
        picture: Some((shown_at(width, height, aspect), rate)),
    })
}

/// The size at which pixels of this shape are shown: the coded height, and its width.
fn shown_at(width: u32, height: u32, aspect: Ratio) -> (u32, u32) {
    ((f64::from(width) * aspect.as_f64()).round() as u32, height)
}
