//! Devices at work, for the sake of measuring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use rackcast_segment::id::Sequence;
use rackcast_segment::sample::job_of;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_service::status::DeviceState;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::CalibrationError;
use super::report::Step;
use crate::admission::{Rates, SlotId, Work};
use crate::device::{Device, Kind};
use crate::metrics::Metrics;
use crate::scheduler::{Event, Scheduler};
use crate::worker::{Blueprint, Post, supervise};

/// A second of a zoom into the Mandelbrot set, with noise, made by `ffmpeg -f lavfi -i
/// mandelbrot=size=1280x720:rate=30 -vf noise=alls=8:allf=t -t 1 -c:v libx264 -crf 30 -bf 2`.
const SAMPLE: &[u8] = include_bytes!("sample.ts");
const RATE: u32 = 30;
const FULL: &str = "720p@2800k,480p@1400k,360p@800k,240p@400k";
const LOWEST: &str = "240p@400k";
/// How long one job may take: a device that needs longer has no place in a live stream.
const LONGEST_JOB: Duration = Duration::from_secs(50);
/// How long a device may take in all: its workers' start, and four rounds of jobs, of which hardly any
/// takes the longest.
pub(super) const LONGEST: Duration = Duration::from_secs(180);
/// The most workers of a device that are tried; of the CPU no more than it has processors, of which each worker
/// fills one.
const MOST_WORKERS: usize = 16;
/// How often it is looked whether workers are up.
const POLL: Duration = Duration::from_millis(10);

/// The rates of each of so many workers, all at work.
pub(super) async fn at(
    like: &Blueprint,
    device: &Device,
    workers: usize,
) -> Result<Rates, CalibrationError> {
    let device = Device {
        workers,
        rates: None,
        ..device.clone()
    };
    let blueprint = Arc::new(like.clone());
    let metrics = Metrics::register(&Registry::new())?;
    let scheduler = Scheduler::new(metrics, vec![device], like.worker.warm_pipelines);
    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for slot in 0..workers {
        let post = Post {
            id: SlotId { device: 0, slot },
            number: slot,
        };
        let (blueprint, scheduler) = (blueprint.clone(), scheduler.clone());
        tasks.spawn(supervise(post, blueprint, scheduler, end.clone()));
    }
    let result = async {
        up(&scheduler, workers, like.worker.start_timeout).await?;
        let (full, lowest) = (job_of(SAMPLE, RATE, FULL)?, job_of(SAMPLE, RATE, LOWEST)?);
        let long = round(&scheduler, &full, workers).await?;
        let short = round(&scheduler, &lowest, workers).await?;
        Rates::solve((Work::from(&full), long), (Work::from(&lowest), short))
            .ok_or(CalibrationError::Nonsense(long, short))
    }
    .await;
    end.cancel();
    tasks.join_all().await;
    result
}

/// One worker, twice as many, and so on until more is no better.
pub(super) async fn search(
    like: &Blueprint,
    device: &Device,
) -> Result<Vec<Step>, CalibrationError> {
    let mut steps: Vec<Step> = Vec::new();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let most = match device.kind {
        Kind::Cpu => processors.min(MOST_WORKERS),
        _ => MOST_WORKERS,
    };
    let powers = (0..).map(|power| 1 << power);
    let mut numbers: Vec<_> = powers.take_while(|n| *n < most).collect();
    numbers.extend([most, device.workers.clamp(1, MOST_WORKERS)]);
    numbers.sort_unstable();
    numbers.dedup();
    for workers in numbers {
        let rates = match at(like, device, workers).await {
            // More than it can take, such as sessions of an encoder; but not fewer than it is told to.
            Err(e) if !steps.is_empty() && (device.finds_workers || workers > device.workers) => {
                log::info!("{}: {workers} workers are too many: {e}", device.name);
                break;
            }
            rates => rates?,
        };
        let step = Step { workers, rates };
        let before = steps.last().map_or(0.0, Step::pixel_rate);
        let better = step.pixel_rate() > before * 1.03;
        steps.push(step);
        if !better && workers >= device.workers {
            break;
        }
    }
    Ok(steps)
}

async fn up(
    scheduler: &Scheduler,
    workers: usize,
    limit: Duration,
) -> Result<(), CalibrationError> {
    let waiting = async {
        while (scheduler.load().slots as usize) < workers {
            let slots = scheduler.slots();
            if let Some(bad) = slots.values().find(|s| s.state == DeviceState::Failed) {
                return Err(CalibrationError::Device(bad.why.clone()));
            }
            sleep(POLL).await;
        }
        Ok(())
    };
    let up = timeout(limit, waiting).await;
    up.unwrap_or(Err(CalibrationError::NotUp(limit)))
}

/// What a job takes while every worker has one. The first of each worker builds its pipeline, and
/// does not count; of the others the shorter time does, which something else held up less.
async fn round(
    scheduler: &Arc<Scheduler>,
    spec: &JobSpec,
    workers: usize,
) -> Result<Duration, CalibrationError> {
    all_at_once(scheduler, spec, workers).await?;
    let once = all_at_once(scheduler, spec, workers).await?;
    Ok(once.min(all_at_once(scheduler, spec, workers).await?))
}

/// The mean of what a job for each worker takes.
async fn all_at_once(
    scheduler: &Arc<Scheduler>,
    spec: &JobSpec,
    workers: usize,
) -> Result<Duration, CalibrationError> {
    let mut jobs = JoinSet::new();
    for number in 0..workers {
        let job = Job {
            stream: "calibration".parse()?,
            sequence: Sequence(number as u64),
            deadline: LONGEST_JOB,
            attempt: 1,
            quarantine: false,
            spec: spec.clone(),
        };
        let deadline = Instant::now() + LONGEST_JOB;
        let place = scheduler.admit("calibration".into(), deadline, &job);
        let place = place.map_err(|no| CalibrationError::Job(no.cause.as_str().to_owned()))?;
        jobs.spawn(async move {
            let mut events = place.submit(job, Bytes::from_static(SAMPLE));
            loop {
                match events.recv().await {
                    Some(Event::Rendition { .. }) => {}
                    Some(Event::Done { worked, .. }) => return Ok(worked),
                    Some(Event::Failed { message, .. }) => return Err(message),
                    None => return Err("its worker is gone".to_owned()),
                }
            }
        });
    }
    let mut sum = Duration::ZERO;
    for worked in jobs.join_all().await {
        sum += worked.map_err(CalibrationError::Job)?;
    }
    Ok(sum / u32::try_from(workers.max(1)).unwrap_or(u32::MAX))
}
