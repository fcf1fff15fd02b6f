//! What `rackcast-transcode calibrate` tells, to people and to programs.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::error::CalibrationError;
use crate::admission::{BAR, Rates};
use crate::device::{Device, Kind};

/// Output pixels a second of the default ladder at 30 pictures a second: 1080, 720, 480, 360 and 240
/// lines.
const LADDER: f64 =
    30.0 * (1920.0 * 1080.0 + 1280.0 * 720.0 + 854.0 * 480.0 + 640.0 * 360.0 + 426.0 * 240.0);
/// A machine that is busier than this with something else is not measured as it is.
const BUSY: f64 = 0.1;
/// More workers must do so much more to be better.
const BETTER: f64 = 1.03;

/// A number of workers, and what each of them does while all work.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Step {
    /// Side by side.
    pub(super) workers: usize,
    /// Of each.
    #[serde(flatten)]
    pub(super) rates: Rates,
}

impl Step {
    /// Output pixels a second of the default ladder, all workers together.
    pub(super) fn pixel_rate(&self) -> f64 {
        self.rates.ladder() * self.workers as f64
    }

    /// Streams of the default ladder at the [bar](BAR).
    pub(super) fn streams(&self) -> f64 {
        BAR * self.pixel_rate() / LADDER
    }
}

/// The least number of workers that does as much as any.
pub(super) fn best(steps: &[Step]) -> Option<&Step> {
    let most = steps.iter().map(Step::pixel_rate).fold(0.0, f64::max);
    steps.iter().find(|step| step.pixel_rate() * BETTER >= most)
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Of each device.
    pub devices: Vec<DeviceReport>,
    /// Where it is kept, if it is.
    pub kept: Option<PathBuf>,
    /// The share of the processors' time that was spent on something else before it began, if that is known.
    pub busy: Option<f64>,
}

/// What was found of a device.
#[derive(Debug, Serialize)]
pub struct DeviceReport {
    name: String,
    kind: Kind,
    /// Workers that it has by its configuration, or by what was found here.
    workers: usize,
    best_workers: Option<usize>,
    /// Output pixels a second of the default ladder with that many workers.
    pixel_rate: f64,
    /// Streams of the default ladder that it carries at 0.8 of real time with that many.
    streams: f64,
    steps: Vec<Step>,
    error: Option<String>,
}

impl Report {
    /// Every device was measured.
    pub fn is_complete(&self) -> bool {
        self.devices.iter().all(|device| device.error.is_none())
    }
}

impl DeviceReport {
    pub(super) fn new(device: &Device, result: Result<Vec<Step>, CalibrationError>) -> Self {
        let (steps, error) = match result {
            Ok(steps) => (steps, None),
            Err(e) => (Vec::new(), Some(e.to_string())),
        };
        let best = best(&steps).copied();
        let workers = best.filter(|_| device.finds_workers).map(|b| b.workers);
        let workers = workers.unwrap_or(device.workers);
        let used = steps.iter().find(|step| step.workers == workers).copied();
        Self {
            name: device.name.to_string(),
            kind: device.kind,
            workers,
            best_workers: best.map(|best| best.workers),
            pixel_rate: used.map_or(0.0, |step| step.pixel_rate()),
            streams: used.map_or(0.0, |step| step.streams()),
            steps,
            error,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for device in &self.devices {
            writeln!(f, "{} ({})", device.name, device.kind)?;
            if let Some(error) = &device.error {
                writeln!(f, "  not measured: {error}")?;
                continue;
            }
            writeln!(f, "  million pixels a second, by each worker and by all:")?;
            writeln!(f, "  workers  decode  encode  the default ladder by all")?;
            for step in &device.steps {
                let million = |rate: f64| rate / 1e6;
                writeln!(
                    f,
                    "  {:7}  {:6.0}  {:6.0}  {:6.0}",
                    step.workers,
                    million(step.rates.decode),
                    million(step.rates.encode),
                    million(step.pixel_rate())
                )?;
            }
            let (number, streams) = (device.workers, device.streams);
            let workers = if number == 1 { "worker" } else { "workers" };
            write!(
                f,
                "  {number} {workers}: {streams:.1} streams of the default ladder (1080p30) at {BAR} of real time"
            )?;
            match device.best_workers {
                Some(best) if best != number => writeln!(f, "; {best} would be best")?,
                _ => writeln!(f)?,
            }
        }
        if let Some(busy) = self.busy.filter(|busy| *busy > BUSY) {
            writeln!(
                f,
                "The machine was busy with something else, {:.0} % of its processors' time: it can do more \
                 than this, with fewer workers. Stop what else runs, and measure again.",
                busy * 100.0
            )?;
        }
        match &self.kept {
            Some(file) => writeln!(f, "kept in {}; in use from the next start", file.display()),
            None => writeln!(f, "not kept: state_dir is not set or cannot be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(workers: usize, encode: f64) -> Step {
        let rates = Rates::of_encoder(encode);
        Step { workers, rates }
    }

    #[test]
    fn fewer_workers_are_better_where_more_do_no_more() {
        let steps = [step(1, 100.0), step(2, 90.0), step(4, 46.0)];
        assert_eq!(best(&steps).map(|s| s.workers), Some(2));
        assert!(best(&[]).is_none());
    }

    #[test]
    fn it_says_when_it_is_not_to_be_believed() {
        let text = |busy| {
            let report = Report {
                busy,
                ..Report::default()
            };
            report.to_string()
        };
        assert!(text(Some(0.5)).contains("busy with something else, 50 %"));
        assert!(![None, Some(0.05)].iter().any(|b| text(*b).contains("busy")));
    }

    #[test]
    fn streams_are_counted_at_the_bar() {
        let one = step(1, LADDER).streams();
        assert!(
            (0.74..0.76).contains(&one),
            "decoding takes its part: {one}"
        );
    }
}
