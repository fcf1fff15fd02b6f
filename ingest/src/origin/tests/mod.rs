//! An origin with one stream, and how to ask it.

mod again;
mod media;
mod memory;
mod text;
mod window;

use super::*;

use std::time::SystemTime;

use ::http::Request;
use http_body_util::BodyExt;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, VideoFormat};
use rackcast_segment::shape::{Colour, Profile, Ratio};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, Counters, Layout, Writer};

pub(super) fn id() -> StreamId {
    "live/show".parse().unwrap()
}

pub(super) fn name(name: &str) -> RenditionName {
    name.parse().unwrap()
}

fn spec(name: &str, width: u32, height: u32, bitrate: u32) -> RenditionSpec {
    RenditionSpec {
        name: name.parse().unwrap(),
        width,
        height,
        bitrate,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    }
}

pub(super) fn info() -> StreamInfo {
    StreamInfo {
        video: Some(SourceVideo {
            format: VideoFormat {
                width: 1440,
                height: 1080,
                profile_idc: 77,
                constraints: 0x40,
                level_idc: 40,
                frame_rate: None,
                sample_aspect: Ratio::new(4, 3).unwrap(),
                colour: Colour::default(),
                interlaced: false,
                samples: Default::default(),
                codec: Default::default(),
            },
            frame_rate: Ratio::new(30_000, 1001),
        }),
        audio: Some(Arc::new(AudioConfig {
            asc: Bytes::from_static(&[0x11, 0x90]),
            object_type: 2,
            sample_rate: 48_000,
            channels: 2,
        })),
        ladder: vec![
            spec("720p", 960, 720, 2_800_000),
            spec("360p", 480, 360, 800_000),
        ],
        sample_aspect: Ratio::new(4, 3).unwrap(),
        target_duration: 2,
        first_sequence: Sequence(0),
        first_discontinuity: 0,
    }
}

/// Real MPEG-TS of `pictures` pictures, from a writer that begins its counters anew, as a
/// transcode node's does.
pub(super) fn video_ts(start: i64, pictures: i64) -> Bytes {
    let pictures: Vec<_> = (0..pictures)
        .map(|n| AccessUnit {
            pts: Timestamp(start + n * 3600),
            dts: Timestamp(start + n * 3600),
            idr: n == 0,
            data: Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 2, 3]),
        })
        .collect();
    let layout = Layout {
        video: true,
        audio: false,
    };
    Writer::new(layout).segment(&pictures, None)
}

fn audio_frames(start: i64, count: i64) -> Vec<AudioFrame> {
    (0..count)
        .map(|n| AudioFrame {
            pts: Timestamp(start + n * 1920),
            data: Bytes::from_static(&[9; 20]),
        })
        .collect()
}

pub(super) struct Rig {
    pub(super) origin: Origin,
    pub(super) stream: Arc<OriginStream>,
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        let origin = Origin::new(config, &Registry::new()).unwrap();
        let stream = origin.open(id(), Epoch(7), &info());
        Self { origin, stream }
    }

    /// Three listed, one kept.
    pub(super) fn small() -> Self {
        Self::new(Config {
            listed: 3,
            kept: 1,
            ..Config::default()
        })
    }

    pub(super) fn info(n: u64) -> SegmentInfo {
        SegmentInfo {
            sequence: Sequence(n),
            start: Timestamp(900_000 + n as i64 * 180_000),
            duration: Ticks(180_000),
            discontinuity: false,
            independent: true,
            program_date_time: SystemTime::UNIX_EPOCH
                + Duration::from_millis(1_800_000_000_250 + n * 2000),
        }
    }

    pub(super) fn add(&self, info: SegmentInfo) {
        let audio = Bytes::from_static(&[1; 1000]);
        let source = Bytes::from(vec![2; 1_000_000]);
        self.stream.segment(info, Some(source), Some(audio));
    }

    pub(super) fn settle(&self, n: u64, rendition: &str, rendered: Rendered) -> bool {
        self.stream
            .rendition(Sequence(n), &name(rendition), rendered)
    }

    /// A segment in all renditions.
    pub(super) fn whole(&self, n: u64) {
        self.add(Self::info(n));
        for rendition in ["720p", "360p"] {
            let media = Rendered::Media(video_ts(900_000, 50));
            assert!(self.settle(n, rendition, media));
        }
    }

    /// Status and body of an address below the stream's, wherever it leads to.
    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(format!("/live/show/{path}")).body(()).unwrap();
        let response = http::handle(&self.origin, &request);
        if let Some(there) = response.headers().get("location") {
            let folder = path.rfind('/').map_or("", |at| &path[..=at]);
            return self.get(&format!("{folder}{}", there.to_str().unwrap()));
        }
        let status = response.status().as_u16();
        let body = futures_util::FutureExt::now_or_never(response.into_body().collect());
        let body = body.unwrap().unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub(super) fn list(&self, rendition: &str) -> String {
        let (status, text) = self.get(&format!("{rendition}.m3u8"));
        assert_eq!(status, 200, "{rendition}");
        text
    }

    /// What is listed: the numbers, with `-` where they are gaps.
    fn listed(&self, rendition: &str) -> String {
        let (status, text) = self.get(&format!("{rendition}.m3u8"));
        if status != 200 {
            return status.to_string();
        }
        let mut out = Vec::new();
        let mut gap = "";
        for line in text.lines() {
            if line == "#EXT-X-GAP" {
                gap = "-";
            } else if !line.starts_with('#') {
                let number = line.rsplit('/').next().unwrap().trim_end_matches(".ts");
                out.push(format!("{gap}{number}"));
                gap = "";
            }
        }
        out.join(" ")
    }
}
