//! A segment of seven pictures and renditions of it that pass verification.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_ingest::dispatch::Order;
use rackcast_segment::h264::parse_sps;
use rackcast_segment::id::{Epoch, Sequence};
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::shape::{Colour, Profile, Ratio, Shape, assign_dts};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{Layout, Writer};
use rackcast_segment::wire::job::{JobSpec, Source};

/// 640x360, High, level 3.1.
const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3,
    0, 0x3c, 0x0f, 0x18, 0x31, 0x96,
];
const START: [u8; 4] = [0, 0, 0, 1];
const OFFSET: Ticks = Ticks(6_000);

/// An order for these renditions whose body has `bytes` bytes.
pub fn order(renditions: &[&str], bytes: usize, time: Duration) -> Order {
    let spec = |name: &&str| RenditionSpec {
        name: name.parse().unwrap(),
        width: 640,
        height: 360,
        bitrate: 800_000,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    };
    Order {
        token: "t0ken".parse().unwrap(),
        epoch: Epoch(1),
        sequence: Sequence(7),
        spec: JobSpec {
            source: Source {
                format: parse_sps(&SPS).unwrap(),
                frames: 7,
                frame_rate: Ratio::new(30, 1).unwrap(),
                first_pts: Timestamp(900_000),
                last_pts: Timestamp(918_000),
                last_half_pts: None,
                duration: Ticks(21_000),
                bytes: u64::try_from(bytes).unwrap(),
            },
            renditions: renditions.iter().map(spec).collect(),
            shape: Shape {
                reorder_depth: 2,
                dts_offset: OFFSET,
                colour: Colour::default(),
                sample_aspect: Ratio::ONE,
            },
            rates: std::collections::BTreeMap::new(),
        },
        body: Bytes::from(vec![0x47; bytes]),
        deadline: Instant::now() + time,
    }
}

/// Bits of the video in [`rendition`]: seven slices of three bytes and the two parameter sets, each behind
/// its start code.
pub const VIDEO_BITS: u64 = 8 * (7 * (4 + 3) + (4 + 26) + (4 + 3));

/// What a good node answers for any of the renditions.
pub fn rendition() -> Bytes {
    let pts: Vec<_> = [0, 3, 1, 2, 6, 4, 5]
        .iter()
        .map(|i| Timestamp(900_000 + i * 3_000))
        .collect();
    let units: Vec<_> = pts
        .iter()
        .zip(assign_dts(&pts, OFFSET))
        .enumerate()
        .map(|(i, (&pts, dts))| {
            let idr = i == 0;
            let sets = [&START[..], &SPS, &START, &[0x68, 0xeb, 0xe3]].concat();
            let slice = [&START[..], &[if idr { 0x65 } else { 0x41 }, 0x88, 0x84]].concat();
            let data = if idr { [sets, slice].concat() } else { slice };
            AccessUnit {
                pts,
                dts,
                idr,
                data: data.into(),
            }
        })
        .collect();
    let layout = Layout {
        video: true,
        audio: false,
    };
    Writer::new(layout).segment(&units, None)
}
