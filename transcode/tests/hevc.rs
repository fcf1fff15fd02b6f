//! HEVC in and out, by the same jobs and through the same node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use common::{Node, Segment, decode, format_in, made, make, make_in, pipelines, ssim};
use rackcast_segment::media::Codec;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_transcode::pipeline::Encoder;

const SOURCE: [&str; 1] = ["testsrc2=size=320x180:rate=25:duration=4"];
const LADDER: &str = "180p@800k,low:90@200k,half:90@150k:half";

/// With every rendition, or the first, in HEVC.
fn in_hevc(mut s: Segment, renditions: usize) -> Segment {
    let rate = s.job.source.frame_rate;
    for spec in s.job.renditions.iter_mut().take(renditions) {
        *spec = spec.clone().in_hevc(rate);
    }
    s
}

fn hevc_source() -> Vec<Segment> {
    let options = [
        "-vf",
        "setsar=4/3",
        "-x265-params",
        "log-level=error:open-gop=0:keyint=50:min-keyint=50:scenecut=0:colorprim=9:transfer=16:colormatrix=9",
    ];
    let made = make_in(Codec::Hevc, &SOURCE, &options, LADDER);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].job.shape.colour.transfer, 16);
    made
}

#[test]
fn renditions_in_hevc_follow_one_another_and_stand_beside_h264() {
    let source = make(
        &SOURCE,
        &["-g", "50", "-bf", "2", "-vf", "setsar=4/3"],
        LADDER,
    );
    for (encoder, count) in [(Encoder::X264, 3), (Encoder::Openh264, 1)] {
        let mut pipelines = pipelines(encoder);
        let mut streams = vec![Vec::new(); 3];
        for s in source.iter().cloned().map(|s| in_hevc(s, count)) {
            for (media, stream) in made(&mut pipelines, &s).into_iter().zip(&mut streams) {
                stream.extend_from_slice(&media);
            }
        }
        for (stream, pictures) in streams.iter().zip([100, 100, 50]) {
            let (complaints, decoded) = decode(stream);
            assert_eq!((complaints.as_str(), decoded), ("", pictures));
        }
        let format = format_in(Codec::Hevc, &streams[0]);
        assert_eq!(format.sample_aspect.as_f64(), 4.0 / 3.0);
        let first = made(&mut pipelines, &in_hevc(source[0].clone(), 1));
        let alike = ssim(&first[0], &source[0].ts, "null");
        assert!(alike > 0.95, "{alike}");
    }
}

#[test]
fn hevc_comes_in_as_h264_does() {
    let mut pipelines = pipelines(Encoder::X264);
    for s in hevc_source() {
        for renditions in [0, 2] {
            let media = made(&mut pipelines, &in_hevc(s.clone(), renditions));
            let alike = ssim(&media[0], &s.ts, "null");
            assert!(alike > 0.95, "{alike}");
        }
    }
    let ten = [
        "-pix_fmt",
        "yuv420p10le",
        "-x265-params",
        "log-level=error:open-gop=0",
    ];
    let ten = make_in(Codec::Hevc, &SOURCE, &ten, LADDER).remove(0);
    assert_eq!(ten.job.source.format.samples.bits, 10);
    made(&mut pipelines, &in_hevc(ten, 1));
}

#[tokio::test]
async fn a_node_says_that_it_has_hevc_and_does_it() {
    let node = Node::start("[worker]\ncount = 1").await;
    assert_eq!(node.status().await.tags, ["cpu", "h264", "hevc"]);
    for s in hevc_source().into_iter().map(|s| in_hevc(s, 1)) {
        node.transcode(&s).await.unwrap().check(&s);
    }
}

#[tokio::test]
async fn a_node_without_hevc_refuses_it_before_the_body_and_goes_on() {
    let node = Node::start("[[device]]\nkind = 'simulated'\npixel_rate = 50_000_000").await;
    let plain = make(&SOURCE, &["-g", "50"], LADDER).remove(0);
    let workers = node.workers();
    for asked in [in_hevc(plain.clone(), 1), hevc_source().remove(0)] {
        let refused = node.transcode(&asked).await.unwrap_err();
        assert_eq!(refused.refusal.code, RefusalCode::Unsupported);
        assert_eq!(refused.status.as_u16(), 415);
        assert!(refused.refusal.message.contains("HEVC"), "{refused:?}");
        assert!(!refused.headers.contains_key("retry-after"));
    }
    node.transcode(&plain).await.unwrap();
    assert_eq!(node.workers(), workers);
}
