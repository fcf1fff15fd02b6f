use std::collections::BTreeMap;

use super::*;
use crate::rate::{Account, Policy};
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
            rates: BTreeMap::new(),
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
fn rates_travel_in_a_header_that_older_nodes_do_not_read() {
    let mut with = job();
    let spec = &with.spec.renditions[0];
    let mut account = Account::new(Policy::default(), spec, with.spec.source.frame_rate);
    let (encoder, duration) = ("x264/veryfast".parse().unwrap(), with.spec.source.duration);
    account.ask(Sequence(6), duration);
    account.came(Sequence(6), 3_000_000, Some(&encoder));
    let (rate, _) = account.ask(Sequence(7), duration);
    with.spec.rates.insert(spec.name.clone(), rate);
    assert_eq!(carried(&with).unwrap(), with);

    let value = |job: &Job, header| {
        let headers = job.to_headers().unwrap().into_iter();
        headers.collect::<BTreeMap<_, _>>().get(header).cloned()
    };
    assert_eq!(value(&with, HEADER_JOB), value(&job(), HEADER_JOB));
    assert_eq!(value(&job(), HEADER_RATES), None);

    let rates = value(&with, HEADER_RATES).unwrap();
    // What a later version adds is left out of account.
    let later = rates
        .replace("\"peak\":", "\"least\":7,\"peak\":")
        .replace("\"newest\":", "\"trend\":[-1],\"newest\":");
    assert_ne!(later, rates);
    let headers: BTreeMap<_, _> = with.to_headers().unwrap().into_iter().collect();
    let got = Job::from_headers(|name| match name {
        HEADER_RATES => Some(later.as_str()),
        _ => headers.get(name).map(String::as_str),
    });
    assert_eq!(got.unwrap(), with);

    for bad in [
        rates.replace("\"peak\":", "\"peak\":4294967295,\"ignored\":"),
        rates.replace("\"bitrate\":1", "\"bitrate\":9"),
        rates.replace("\"newest\":", "\"newest\":-"),
        "{".to_owned(),
        format!("{{{}}}", " ".repeat(MAX_RATES_HEADER)),
    ] {
        let headers: BTreeMap<_, _> = job().to_headers().unwrap().into_iter().collect();
        let got = Job::from_headers(|name| match name {
            HEADER_RATES => Some(bad.as_str()),
            _ => headers.get(name).map(String::as_str),
        });
        let refused = matches!(got, Err(InvalidJob::Malformed(HEADER_RATES, _)));
        assert!(refused, "{bad}: {got:?}");
    }
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
    let rate = job.spec.source.frame_rate;
    for spec in &job.spec.renditions {
        let mut account = Account::new(Policy::default(), spec, rate);
        for n in 0..6 {
            let encoder = format!("{n:0>32}").parse().unwrap();
            account.ask(Sequence(n), Ticks(180_000));
            account.came(Sequence(n), 3_000_000, Some(&encoder));
        }
        let (asked, _) = account.ask(Sequence(7), Ticks(180_000));
        job.spec.rates.insert(spec.name.clone(), asked);
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
    let endless = Ratio::new(u32::MAX, 1_001).unwrap();
    assert!(source(refused(|s| s.source.frame_rate = endless)));
    assert!(source(refused(|s| s.source.duration = Ticks(-1))));
    assert!(source(refused(|s| s.source.first_pts = Timestamp(-1))));
    assert!(source(refused(|s| s.source.last_pts = Timestamp(899_999))));
    assert!(source(refused(|s| s.source.format.width = 0)));
    let large = |e| matches!(e, InvalidJob::TooLarge(_));
    assert!(large(refused(|s| s.source.frames = u32::MAX)));
    assert!(large(refused(|s| s.source.format.height = 16_384)));
    let shape = |e| matches!(e, InvalidJob::Shape(_));
    let wide = Ratio::new(65_536, 1).unwrap();
    assert!(shape(refused(|s| s.shape.sample_aspect = wide)));
    assert!(shape(refused(|s| s.source.format.sample_aspect = wide)));
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
