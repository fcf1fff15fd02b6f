//! A device that only takes time, and fails when it is told to.
//!
//! It does everything that a real one does but decode and encode: it takes as long as its rate says,
//! moves its count of pictures meanwhile, can be cancelled, and answers with renditions that are
//! whole, decodable, and grey. So schedulers, faults and fleets can be tried without the hardware,
//! through the same processes and protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rackcast_segment::media::AccessUnit;
use rackcast_segment::wire::job::JobSpec;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::config::EncoderConfig;
use super::engine::Engine;
use super::error::PipelineError;
use super::finish;
use super::graph::Key;
use super::grey::Grey;
use super::run::Rendition;
use super::spent::Spent;

/// How often it moves.
const STEP: Duration = Duration::from_millis(5);
/// Memory is taken in pieces of so many bytes.
const PIECE: usize = 64 << 20;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The process aborts in the middle of the job.
    Crash,
    /// It lives and moves no picture.
    Hang,
    /// The last picture of each rendition is missing.
    WrongOutput,
    /// It takes memory until there is none.
    Memory,
    /// It says that it could not.
    Error,
}

/// How fast it is, and what goes wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulation {
    /// Output pixels a second.
    pub pixel_rate: u64,
    /// What goes wrong, with every so many-th job.
    pub fault: Option<(Fault, u32)>,
}

/// The device.
pub struct Simulated {
    simulation: Simulation,
    progress: Arc<AtomicU32>,
    /// Jobs so far, without the self-test at the start.
    jobs: Option<u32>,
}

impl Fault {
    /// As it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::WrongOutput => "wrong-output",
            Self::Memory => "memory",
            Self::Error => "error",
        }
    }
}

impl Simulated {
    /// One that has done nothing yet.
    pub fn new(simulation: Simulation) -> Self {
        Self {
            simulation,
            progress: Arc::default(),
            jobs: None,
        }
    }

    /// What goes wrong with the job that begins.
    fn fault(&mut self) -> Option<Fault> {
        let job = self.jobs.map_or(0, |jobs| jobs.wrapping_add(1));
        self.jobs = Some(job);
        let (fault, every) = self.simulation.fault?;
        (job > 0 && job.checked_rem(every) == Some(0)).then_some(fault)
    }

    fn work(&self, time: Duration, cancel: &CancellationToken) -> Result<(), PipelineError> {
        let end = Instant::now() + time;
        loop {
            if cancel.is_cancelled() {
                return Err(PipelineError::Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STEP));
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Engine for Simulated {
    fn transcode(
        &mut self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        emit: &mut dyn FnMut(Rendition),
    ) -> Result<u32, PipelineError> {
        let fault = self.fault();
        let seconds = |pixels: u64| pixels as f64 / self.simulation.pixel_rate.max(1) as f64;
        let key = Key::of(job, &EncoderConfig::default());
        let mut shown: Vec<_> = units.iter().map(|unit| unit.pts).collect();
        shown.sort_unstable();
        if job.needs_hevc() {
            return Err(PipelineError::Unsupported("HEVC, simulated".to_owned()));
        }
        for (spec, pixels) in job.renditions.iter().zip(job.works()) {
            let time = Duration::try_from_secs_f64(seconds(pixels)).unwrap_or(Duration::MAX);
            self.work(time / 2, cancel)?;
            match fault {
                Some(Fault::Crash) => std::process::abort(),
                Some(Fault::Hang) => loop {
                    std::thread::park();
                },
                Some(Fault::Memory) => starve(),
                Some(Fault::Error) => return Err(PipelineError::Internal("simulated".to_owned())),
                Some(Fault::WrongOutput) | None => {}
            }
            self.work(time / 2, cancel)?;
            let mut grey = Grey::new(spec.width, spec.height);
            let coded = spec.pick(&shown).map(|pts| (*pts, grey.picture()));
            let mut pictures = finish::pictures(coded, spec, &key)?;
            if fault == Some(Fault::WrongOutput) {
                pictures.pop();
            }
            emit(Rendition {
                name: spec.name.clone(),
                pictures,
            });
        }
        Ok(u32::try_from(units.len()).unwrap_or(u32::MAX))
    }

    fn makes_hevc(&self) -> bool {
        false
    }

    fn progress(&self) -> Arc<AtomicU32> {
        self.progress.clone()
    }

    fn sessions(&self) -> Arc<AtomicU32> {
        Arc::default()
    }

    fn spent(&self) -> Spent {
        Spent::default()
    }
}

/// Takes memory until the system gives none, which ends the process. None of it is written to: it
/// is the limit that is to be met, not the machine's.
fn starve() -> ! {
    loop {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(PIECE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_th_job_fails_and_never_the_first_self_test() {
        let simulation = Simulation {
            pixel_rate: 1,
            fault: Some((Fault::Error, 2)),
        };
        let mut device = Simulated::new(simulation);
        let faults: Vec<_> = (0..5).map(|_| device.fault().is_some()).collect();
        assert_eq!(faults, [false, false, true, false, true]);
    }
}
