//! The origin against the rules of RFC 8216 whatever happens to it, and in front of a real
//! player.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// The checker of the end-to-end tests, which stands on the standard library alone.
#[path = "../../../tests/src/hls.rs"]
#[allow(unreachable_pub, reason = "it is a public module there")]
mod hls;
mod play;
mod rules;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use rackcast_ingest::origin::{Origin, SourceVideo, StreamInfo};
use rackcast_segment::id::{Sequence, StreamId};
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AudioConfig, VideoFormat};
use rackcast_segment::shape::{Profile, Ratio};

fn id() -> StreamId {
    "live/show".parse().unwrap()
}

fn spec(name: &str, bitrate: u32) -> RenditionSpec {
    RenditionSpec {
        name: name.parse().unwrap(),
        width: 320,
        height: 180,
        bitrate,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    }
}

fn info(format: VideoFormat, audio: AudioConfig, first: u64) -> StreamInfo {
    StreamInfo {
        video: Some(SourceVideo {
            format,
            frame_rate: Ratio::new(25, 1),
        }),
        audio: Some(Arc::new(audio)),
        ladder: vec![spec("high", 500_000), spec("low", 200_000)],
        sample_aspect: Ratio::ONE,
        target_duration: 2,
        first_sequence: Sequence(first),
        first_discontinuity: 3,
    }
}

/// Body of an address below the stream's, if it is there; `..` is understood.
fn get(origin: &Origin, path: &str) -> Option<Bytes> {
    let path = path.strip_prefix("../").unwrap_or(path);
    let request = Request::get(format!("/live/show/{path}")).body(()).unwrap();
    let response = rackcast_ingest::origin::http::handle(origin, &request);
    let found = response.status() == 200;
    let body = futures_util::FutureExt::now_or_never(response.into_body().collect());
    found.then(|| body.unwrap().unwrap().to_bytes())
}

fn text(origin: &Origin, path: &str) -> Option<String> {
    get(origin, path).map(|b| String::from_utf8(b.to_vec()).unwrap())
}
