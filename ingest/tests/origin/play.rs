//! Real media through the segmenter and the origin, and ffprobe in front of it, which must
//! find every picture and every audio frame and have no complaint.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, SystemTime};

use hyper_util::rt::{TokioExecutor, TokioIo};
use rackcast_ingest::origin::{self, Rendered, SegmentInfo};
use rackcast_ingest::segmenter::{self, Segment, Segmenter};
use rackcast_segment::h264;
use rackcast_segment::id::Epoch;
use rackcast_segment::media::{MediaEvent, VideoConfig};
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Layout, Limits, Writer};

use super::*;

/// 13 s of a test picture with B-frames and sound, a keyframe every 2 s.
fn sample() -> ts::Demuxed {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg("testsrc2=size=320x180:rate=25:duration=13")
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=13"])
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2",
        ])
        .args(["-threads", "1", "-c:a", "aac", "-f", "mpegts", "-"])
        .output()
        .expect("ffmpeg is installed");
    let near = Timestamp(900_000);
    ts::read(&output.stdout, near, &Limits::default()).unwrap()
}

fn events(sample: ts::Demuxed) -> Vec<MediaEvent> {
    let (sps, _) = h264::parameter_sets(&sample.video[0].data);
    let sps = sps.unwrap();
    let video = VideoConfig {
        sps: Bytes::copy_from_slice(sps),
        format: h264::parse_sps(sps).unwrap(),
    };
    let mut timed: Vec<_> = sample.video.into_iter().map(MediaEvent::Video).collect();
    timed.extend(sample.audio.into_iter().map(MediaEvent::Audio));
    timed.sort_by_key(|event| match event {
        MediaEvent::Video(picture) => picture.dts,
        MediaEvent::Audio(frame) => frame.pts,
        _ => Timestamp(0),
    });
    let mut events = vec![
        MediaEvent::VideoConfig(video),
        MediaEvent::AudioConfig(sample.audio_config.unwrap()),
    ];
    events.extend(timed);
    events
}

fn cut(events: Vec<MediaEvent>) -> Vec<Segment> {
    let mut segmenter = Segmenter::new(segmenter::Config::default(), Sequence(0));
    let mut segments = Vec::new();
    for event in events {
        segmenter.push(event, &mut segments).unwrap();
    }
    segmenter.flush(&mut segments);
    segments
}

/// Publishes the segments, as if transcoders that know nothing of one another had answered
/// with the publisher's own pictures.
fn publish(origin: &Origin, segments: &[Segment]) {
    let first = &segments[0];
    let format = first.video_config.as_ref().unwrap().format.clone();
    let audio = first.audio_config.as_deref().unwrap().clone();
    let stream = origin.open(id(), Epoch(1), &info(format, audio, 0));
    let mut at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for segment in segments {
        let (source, audio) = stream.package(segment);
        let info = SegmentInfo {
            sequence: segment.sequence,
            start: segment.start,
            duration: segment.duration,
            discontinuity: segment.discontinuity,
            independent: segment.independent,
            program_date_time: at,
        };
        at += segment.duration.to_duration();
        stream.segment(info, source, audio);
        for name in ["high", "low"] {
            let layout = Layout {
                video: true,
                audio: false,
            };
            let media = Writer::new(layout).segment(&segment.video, None);
            let name = name.parse().unwrap();
            assert!(stream.rendition(segment.sequence, &name, Rendered::Media(media)));
        }
    }
    stream.end();
}

async fn serve(origin: Arc<Origin>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let origin = Arc::clone(&origin);
            let service = hyper::service::service_fn(move |request| {
                let response = origin::http::handle(&origin, &request);
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

/// Kind and decoded frames of every stream, each pair once, as ffprobe counts them without a
/// complaint.
async fn probe(url: String) -> Vec<(String, usize)> {
    let output = tokio::task::spawn_blocking(move || {
        Command::new("ffprobe")
            .args(["-v", "warning", "-threads", "1", "-count_frames"])
            .args(["-show_entries", "stream=codec_type,nb_read_frames"])
            .args(["-of", "csv=p=0", &url])
            .output()
            .expect("ffprobe is installed")
    })
    .await
    .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|l| !l.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
        .into_iter()
        .filter_map(|line| line.split_once(','))
        .map(|(kind, count)| (kind.to_owned(), count.parse().unwrap_or(0)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_plays_every_rendition() {
    let segments = cut(events(sample()));
    assert_eq!(segments.len(), 7);
    let pictures: usize = segments.iter().map(|s| s.video.len()).sum();
    let sounds: usize = segments.iter().map(|s| s.audio.len()).sum();
    assert_eq!(pictures, 325);

    let origin = Origin::new(origin::Config::default(), &prometheus::Registry::new()).unwrap();
    publish(&origin, &segments);
    let base = format!("http://{}/live/show", serve(Arc::new(origin)).await);
    let video = |n| vec![("video".to_owned(), n)];
    let audio = || vec![("audio".to_owned(), sounds)];
    assert_eq!(probe(format!("{base}/source.m3u8")).await, video(pictures));
    assert_eq!(probe(format!("{base}/high.m3u8")).await, video(pictures));
    assert_eq!(probe(format!("{base}/audio.m3u8")).await, audio());
    for name in ["source", "high"] {
        let muxed = probe(format!("{base}/muxed/{name}.m3u8")).await;
        assert_eq!(muxed, [audio(), video(pictures)].concat());
    }
    let mut all = audio();
    all.extend(video(pictures));
    assert_eq!(probe(format!("{base}/master.m3u8")).await, all);
    assert_eq!(probe(format!("{base}/muxed.m3u8")).await, all);
}
