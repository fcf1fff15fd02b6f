//! Jobs for a transcode node, made from any file.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::h264::{parameter_sets, parse_sps};
use rackcast_segment::id::Sequence;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, Layout, Limits, Writer};
use rackcast_segment::wire::job::{Job, JobSpec, Source};

use crate::publish::pictures;

/// One picture of a sample, at 25 a second.
pub const PICTURE: Ticks = Ticks(3_600);

/// Cuts pictures at their keyframes, on a timeline that begins, as every epoch's, at ten
/// seconds.
///
/// # Panics
/// The first picture is none.
pub fn cut(units: Vec<AccessUnit>) -> Vec<Vec<AccessUnit>> {
    let mut segments: Vec<Vec<AccessUnit>> = Vec::new();
    for mut unit in units {
        (unit.pts, unit.dts) = (unit.pts + Ticks(900_000), unit.dts + Ticks(900_000));
        if unit.idr {
            segments.push(Vec::new());
        }
        segments
            .last_mut()
            .expect("the first picture is a keyframe")
            .push(unit);
    }
    segments
}

/// The first segment of a file, and a job for it.
///
/// # Panics
/// The file cannot be read.
pub fn first(file: &Path, ladder: &str) -> (Job, Bytes) {
    let limits = Limits::default();
    let demuxed = ts::read(&pictures(file), Timestamp(900_000), &limits).unwrap();
    let units = cut(demuxed.video).swap_remove(0);
    let layout = Layout {
        video: true,
        audio: false,
    };
    let body = Writer::new(layout).segment(&units, None);
    let job = job(0, &units, body.len(), &ladder.parse().unwrap());
    (job, body)
}

/// A job as an ingest would send it.
///
/// # Panics
/// The pictures have no parameter sets.
pub fn job(number: usize, units: &[AccessUnit], bytes: usize, ladder: &Ladder) -> Job {
    let (Some(sps), _) = parameter_sets(&units[0].data) else {
        panic!("no SPS")
    };
    let format = parse_sps(sps).unwrap();
    let pts = || units.iter().map(|u| u.pts);
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(2 * PICTURE.0),
        colour: format.colour,
        sample_aspect: format.sample_aspect,
    };
    let source = Source {
        frames: u32::try_from(units.len()).unwrap(),
        frame_rate: Ratio::new(25, 1).unwrap(),
        first_pts: pts().min().unwrap(),
        last_pts: pts().max().unwrap(),
        last_half_pts: None,
        duration: Ticks(PICTURE.0 * i64::try_from(units.len()).unwrap()),
        bytes: bytes as u64,
        format,
    };
    let renditions = ladder.resolve(source.format.width, source.format.height, 25.0);
    Job {
        stream: "test".parse().unwrap(),
        sequence: Sequence(number as u64),
        deadline: Duration::from_secs(8),
        attempt: 1,
        quarantine: false,
        spec: JobSpec {
            source,
            renditions,
            shape,
            rates: std::collections::BTreeMap::new(),
        },
    }
}
