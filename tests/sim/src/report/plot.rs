use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::policy::Name;
use crate::study::Study;
use crate::time::Time;

const SIZE: (u32, u32) = (960, 480);
/// A fleet of more nodes is no picture.
const MOST_NODES: usize = 64;

/// Writes a study's plots into `folder`: the turnaround over time of every policy, and what each
/// node carries under ours.
///
/// # Errors
/// A file could not be written.
pub fn plots(study: &Study, folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let name = &study.scenario.name;
    let times = folder.join(format!("{name}-turnaround.svg"));
    turnaround(study, &times)?;
    let mut files = vec![times];
    if let Some(trace) = study.traces.get(&Name::Ours)
        && trace.nodes.len() <= MOST_NODES
    {
        let load = folder.join(format!("{name}-load.svg"));
        share_of_load(study, &load)?;
        files.push(load);
    }
    Ok(files)
}

fn colour(name: Name) -> RGBColor {
    match name {
        Name::Ours => RGBColor(200, 30, 30),
        Name::RoundRobin => RGBColor(230, 150, 20),
        Name::LeastInFlight => RGBColor(120, 150, 40),
        Name::PeakEwma => RGBColor(30, 120, 200),
        Name::Nearest => RGBColor(140, 70, 170),
        Name::Oracle => RGBColor(90, 90, 90),
        Name::LateOracle => RGBColor(170, 170, 170),
    }
}

fn turnaround(study: &Study, path: &Path) -> Result<(), Box<dyn Error>> {
    let seconds = study.scenario.length.as_secs_f64();
    let deadline = study.scenario.deadline_of_first().as_secs_f64();
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = format!(
        "{}: 99th percentile of the turnaround, a second at a time",
        study.scenario.name
    );
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..seconds, 0.0..deadline * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("seconds of virtual time")
        .y_desc("seconds from the cut")
        .light_line_style(WHITE)
        .draw()?;
    let dead = [(0.0, deadline), (seconds, deadline)];
    chart.draw_series(LineSeries::new(dead, BLACK.mix(0.3)))?;
    for (name, trace) in study.traces.iter().rev() {
        let colour = colour(*name);
        chart
            .draw_series(LineSeries::new(
                trace.clone().quantile(0.99),
                colour.stroke_width(if *name == Name::Ours { 2 } else { 1 }),
            ))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

fn share_of_load(study: &Study, path: &Path) -> Result<(), Box<dyn Error>> {
    let Some(trace) = study.traces.get(&Name::Ours) else {
        return Ok(());
    };
    let seconds = study.scenario.length.as_secs_f64();
    let counts = trace.nodes.iter().flatten().copied().max().unwrap_or(1);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = format!(
        "{}: submissions a second to each node, ours, seed 1",
        study.scenario.name
    );
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..seconds, 0.0..f64::from(counts) * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("seconds of virtual time")
        .light_line_style(WHITE)
        .draw()?;
    for (node, counts) in (0u32..).zip(&trace.nodes) {
        let befallen = trace.befallen.contains(&node);
        let colour = match befallen {
            true => RGBColor(200, 30, 30).mix(0.9),
            false => RGBColor(60, 90, 140).mix(0.45),
        };
        let points = (0u32..)
            .zip(counts)
            .map(|(s, n)| (f64::from(s), f64::from(*n)));
        let series = LineSeries::new(points, colour.stroke_width(if befallen { 2 } else { 1 }));
        chart.draw_series(series)?;
    }
    // What befell whom, as a bar along the top.
    for fault in study.faults() {
        let (from, until) = (
            fault.0.secs(),
            fault.1.min(Time::after(study.scenario.length)),
        );
        let top = f64::from(counts) * 1.05;
        let bar = [(from, top * 0.98), (until.secs(), top)];
        chart.draw_series([Rectangle::new(bar, RGBColor(200, 30, 30).mix(0.4).filled())])?;
    }
    root.present()?;
    Ok(())
}
