//! Whatever is sent, in samples or fields, becomes whole pictures in 8-bit 4:2:0, at the rate that was
//! asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use common::{between_lines, decode, format_of, h264_bits, made, make, pipelines, segment, ssim};
use rackcast_segment::media::{Chroma, Samples};
use rackcast_segment::shape::Ratio;
use rackcast_transcode::pipeline::Encoder;

#[test]
fn samples_of_any_kind_become_plain_ones() {
    let source = ["testsrc2=size=320x180:rate=25:duration=1"];
    let of = |pixels: &str, chroma, bits| {
        let options = [
            "-pix_fmt",
            pixels,
            "-g",
            "100",
            "-crf",
            "12",
            "-color_primaries",
            "bt2020",
            "-color_trc",
            "smpte2084",
            "-colorspace",
            "bt2020nc",
        ];
        let s = make(&source, &options, "180p@3M,low:90@500k").remove(0);
        assert_eq!(s.job.source.format.samples, Samples { chroma, bits });
        assert_eq!(s.job.shape.colour.transfer, 16);
        s
    };
    let mut pipelines = pipelines(Encoder::X264);
    for s in [
        of("yuv420p10le", Chroma::Quarter, 10),
        of("yuv422p", Chroma::Half, 8),
        of("yuv422p10le", Chroma::Half, 10),
        of("yuv444p", Chroma::Full, 8),
        of("gray", Chroma::Grey, 8),
        of("yuv420p", Chroma::Quarter, 8),
    ] {
        let samples = s.job.source.format.samples;
        let media = made(&mut pipelines, &s);
        for (media, spec) in media.iter().zip(&s.job.renditions) {
            let format = format_of(media);
            assert!(format.samples.is_plain());
            assert_eq!(format.colour, s.job.shape.colour, "{samples}");
            let scale = format!("scale={}:{}:flags=bicubic", spec.width, spec.height);
            let alike = ssim(media, &s.ts, &scale);
            eprintln!("{samples} {}: SSIM {alike}", spec.name);
            assert!(alike > 0.95, "{samples} {}: {alike}", spec.name);
        }
    }
}

/// Pictures of fields 50 times a second, and what the upper fields' pictures were before.
#[test]
fn fields_become_whole_pictures_each_at_its_time() {
    let source =
        |size: &str, filter: &str| format!("testsrc2=size={size}:rate=50:duration=2,{filter}");
    let mut pipelines = pipelines(Encoder::X264);
    for (order, pixels, size) in [
        ("tff", "yuv420p", "640x360"),
        ("bff", "yuv420p", "640x360"),
        ("tff", "yuv422p10le", "426x240"),
    ] {
        let first = order == "tff";
        let interleave = if first { "top" } else { "bottom" };
        let fields = source(size, &format!("tinterlace=interleave_{interleave}"));
        let upper = format!(
            "select='eq(mod(n\\,2)\\,{})',setpts=N/25/TB",
            u8::from(!first)
        );
        let params = format!("{order}=1");
        let common = ["-pix_fmt", pixels, "-r", "25", "-g", "25", "-crf", "8"];
        let flags = ["-flags", "+ildct+ilme", "-x264-params", &params];
        let ladder = "240p@3M,low:90@500k";
        let coded = make(&[&fields], &[&common[..], &flags].concat(), ladder);
        let truth = make(&[&source(size, &upper)], &common, ladder);
        assert_eq!(coded.len(), 2);
        for (s, truth) in coded.iter().zip(&truth) {
            assert!(s.job.source.format.interlaced);
            let media = made(&mut pipelines, s);
            let scale = "scale=-2:240:interl=0";
            let ours = ssim(&media[0], &truth.ts, scale);
            let woven = ssim(&s.ts, &truth.ts, "null");
            eprintln!("{order} {pixels} {size}: SSIM {ours}, with its fields woven {woven}");
            assert!(ours > 0.97 && ours > woven, "{ours}, {woven}");
        }
    }
}

#[test]
fn pictures_that_are_whole_stay_so_where_there_might_be_fields() {
    let source = ["testsrc2=size=320x180:rate=25:duration=1"];
    let options = ["-crf", "12", "-x264-params", "fake-interlaced=1"];
    let s = make(&source, &options, "180p@3M").remove(0);
    assert!(s.job.source.format.interlaced);
    let media = made(&mut pipelines(Encoder::X264), &s);
    let alike = ssim(&media[0], &s.ts, "null");
    assert!(alike > 0.97, "{alike}");
}

#[test]
fn fields_that_are_coded_apart_become_one_picture() {
    let mut pipelines = pipelines(Encoder::X264);
    for pictures in [12, 13] {
        let s = segment(&h264_bits::field_pairs(pictures), "64p@1M");
        assert!(s.job.source.format.interlaced);
        assert!(between_lines(&s.ts, 64) > 10.0, "the source is interlaced");
        let media = made(&mut pipelines, &s);
        let left = between_lines(&media[0], 64);
        assert!(left < 2.0, "{left}");
    }
}

#[test]
fn half_the_rate_is_every_second_picture_of_each_segment() {
    // 25 pictures a segment, then 24 and 1: the last may be followed by the next at once.
    let source = ["testsrc2=size=320x180:rate=25:duration=3"];
    let whole = make(&source, &["-g", "25", "-bf", "2"], "180p@300k");
    let units: Vec<_> = whole.iter().flat_map(|s| s.units.clone()).collect();
    let ladder = "180p@300k,half:180@300k:half,mid:120@200k,low:90@100k:half:baseline";
    let cut = [0..25, 25..49, 50..75].map(|range| segment(&units[range], ladder));
    for encoder in [Encoder::X264, Encoder::Openh264] {
        let mut pipelines = pipelines(encoder);
        let mut streams = vec![Vec::new(); 4];
        let frames = [25usize, 24, 25];
        for (s, frames) in cut.iter().zip(frames) {
            let frames = [frames, frames.div_ceil(2), frames, frames.div_ceil(2)];
            for ((media, stream), frames) in
                made(&mut pipelines, s).iter().zip(&mut streams).zip(frames)
            {
                assert_eq!(decode(media).1, frames);
                stream.extend_from_slice(media);
            }
        }
        for (stream, spec) in streams.iter().zip(&cut[0].job.renditions) {
            let rate = spec.frame_rate(Ratio::new(25, 1).unwrap());
            assert_eq!(format_of(stream).frame_rate, Some(rate), "{}", spec.name);
        }
    }
}
