use std::collections::BTreeMap;

use super::*;
use crate::shape::{Colour, Profile};

fn job() -> Job {
    let format = VideoFormat {
        width: 1280,
        height: 720,
        profile_idc: 100,
        constraints: 0,
        level_idc: 31,
        frame_rate: None,
        sample_aspect: Ratio::ONE,
        colour: Colour::default(),
        interlaced: false,
        samples: Default::default(),
        codec: Default::default(),
    };
    let source = Source {
        format,
        frames: 60,
        frame_rate: Ratio::new(30, 1).unwrap(),
        first_pts: Timestamp(900_000),
        last_pts: Timestamp(1_077_000),
        last_half_pts: None,
        duration: Ticks(180_000),
        bytes: 700_000,
    };
    let rendition = RenditionSpec {
        name: "480p".parse().unwrap(),
        width: 854,
        height: 480,
        bitrate: 1_400_000,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    };
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(6_000),
        colour: Colour::default(),
        sample_aspect: Ratio::ONE,
    };
    Job {
        stream: "t0k3n".parse().unwrap(),
        sequence: Sequence(7),
        deadline: Duration::from_millis(2_500),
        attempt: 1,
        quarantine: false,
        spec: JobSpec {
            source,
            renditions: vec![rendition],
            shape,
        },
    }
}

fn carried(job: &Job) -> Result<Job, InvalidJob> {
    let headers: BTreeMap<_, _> = job.to_headers().unwrap().into_iter().collect();
    Job::from_headers(|name| headers.get(name).map(String::as_str))
}

/// Why a job that was changed so is refused.
fn refused(change: impl FnOnce(&mut JobSpec)) -> InvalidJob {
    let mut job = job();
    change(&mut job.spec);
    carried(&job).unwrap_err()
}

#[test]
fn headers_carry_the_whole_job() {
    assert_eq!(carried(&job()).unwrap(), job());
    assert_eq!(job().spec.work(), 854 * 480 * 60);
    let quarantined = Job {
        quarantine: true,
        ..job()
    };
    assert_eq!(carried(&quarantined).unwrap(), quarantined);
}

#[test]
fn quarantine_is_asked_for_in_so_many_words() {
    let headers: BTreeMap<_, _> = job().to_headers().unwrap().into_iter().collect();
    let asked = |value| {
        Job::from_headers(|name| match name {
            HEADER_QUARANTINE => Some(value),
            _ => headers.get(name).map(String::as_str),
        })
        .map(|job| job.quarantine)
    };
    assert_eq!((asked("true"), asked("false")), (Ok(true), Ok(false)));
    assert!(matches!(
        asked("1"),
        Err(InvalidJob::Malformed(HEADER_QUARANTINE, _))
    ));
}

#[test]
fn the_longest_ladder_fits_into_the_header() {
    let mut job = job();
    let rendition = job.spec.renditions.remove(0);
    for rung in 0..MAX_RUNGS {
        let name = format!("{rung:0>width$}", width = crate::id::MAX_NAME_LEN);
        job.spec.renditions.push(RenditionSpec {
            name: name.parse().unwrap(),
            ..rendition.clone()
        });
    }
    assert_eq!(carried(&job).unwrap(), job);
}

#[test]
fn nonsense_is_refused() {
    let ladder = |e| matches!(e, InvalidJob::Ladder(_));
    assert!(ladder(refused(|s| s.renditions.clear())));
    assert!(ladder(refused(|s| s
        .renditions
        .push(s.renditions[0].clone()))));
    assert!(ladder(refused(|s| s.renditions[0].width = 853)));
    assert!(ladder(refused(|s| s.renditions[0].height = 10_000)));
    assert!(ladder(refused(|s| s.renditions[0].bitrate = 0)));
    let source = |e| matches!(e, InvalidJob::Source(_));
    assert!(source(refused(|s| s.source.frames = 0)));
    assert!(source(refused(|s| s.source.duration = Ticks(-1))));
    assert!(source(refused(|s| s.source.first_pts = Timestamp(-1))));
    assert!(source(refused(|s| s.source.last_pts = Timestamp(899_999))));
    assert!(source(refused(|s| s.source.format.width = 0)));
    let large = |e| matches!(e, InvalidJob::TooLarge(_));
    assert!(large(refused(|s| s.source.frames = u32::MAX)));
    assert!(large(refused(|s| s.source.format.height = 16_384)));
    let shape = |e| matches!(e, InvalidJob::Shape(_));
    assert!(shape(refused(|s| s.shape.reorder_depth = 17)));
    assert!(shape(refused(|s| s.shape.dts_offset = Ticks(i64::MAX))));
    assert!(shape(refused(|s| s.shape.dts_offset = Ticks(-1))));
}

#[test]
fn a_missing_or_foreign_header_is_named() {
    let headers: BTreeMap<_, _> = job().to_headers().unwrap().into_iter().collect();
    for missing in headers.keys() {
        let get = |name| {
            headers
                .get(name)
                .filter(|_| name != *missing)
                .map(String::as_str)
        };
        assert_eq!(Job::from_headers(get), Err(InvalidJob::Missing(missing)));
    }
    let get = |name| match name {
        HEADER_PROTOCOL => Some("2"),
        _ => headers.get(name).map(String::as_str),
    };
    assert_eq!(
        Job::from_headers(get),
        Err(InvalidJob::Protocol("2".to_owned()))
    );
}
