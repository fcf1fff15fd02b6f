//! `rackcast-sim`: scenarios by name or file, tables to the output, plots into a folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rackcast_sim::{Name, Scenario, Study, Told, plots, simulate, stories, table};

/// Runs routing scenarios on virtual time and compares the policies.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Scenarios: files, or names in `tests/sim/scenarios`; all of those if none is named.
    scenarios: Vec<String>,
    /// How many seeds each is run with.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them: rules are chosen on other seeds than those they are reported on.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Only these policies (ours, round-robin, least-in-flight, peak-ewma, nearest, oracle,
    /// late-oracle).
    #[arg(long, value_delimiter = ',')]
    policies: Vec<String>,
    /// How many threads; all processors if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints why our policy lost segments with this seed, and nothing else.
    #[arg(long, value_name = "SEED")]
    lost: Option<u64>,
    /// The same for those as well that took more than a third of their time.
    #[arg(long, value_name = "SEED", conflicts_with = "lost")]
    slow: Option<u64>,
    /// The same for all segments of the streams that moved more than once after a fault.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["lost", "slow"])]
    moved: Option<u64>,
    /// Where plots and tables go.
    #[arg(long, default_value = "target/sim")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                eprintln!("NOT MET: {failure}");
            }
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("rackcast-sim: {e}");
            ExitCode::from(64)
        }
    }
}

fn run(options: &Options) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let policies = policies(&options.policies)?;
    let paths = paths(&options.scenarios)?;
    let scenarios = paths.iter().map(|path| Scenario::load(path));
    let scenarios = scenarios.collect::<Result<Vec<_>, _>>()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or(processors);
    let tell = [
        (options.lost, Told::Lost),
        (options.slow, Told::Slow),
        (options.moved, Told::Moved),
    ];
    if let Some((seed, told)) = tell
        .into_iter()
        .find_map(|(seed, told)| Some((seed?, told)))
    {
        for story in scenarios.iter().flat_map(|s| stories(s, seed, told)) {
            println!("{story}");
        }
        return Ok(Vec::new());
    }
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let began = Instant::now();
        let seeds = options.first..options.first.saturating_add(options.seeds);
        let study = simulate(scenario, &policies, seeds, threads);
        let text = table(&study);
        println!("{text}");
        report_time(&study, began.elapsed());
        plots(&study, &options.out)?;
        std::fs::write(options.out.join(format!("{}.md", scenario.name)), text)?;
        failures.extend(study.failures());
    }
    Ok(failures)
}

fn report_time(study: &Study, whole: Duration) {
    let run = |(name, took): (&Name, &Duration)| format!("{name} {:.2} s", took.as_secs_f64());
    let runs: Vec<_> = study.took.iter().map(run).collect();
    let (name, whole) = (&study.scenario.name, whole.as_secs_f64());
    eprintln!("{name}: {whole:.1} s; a run: {}", runs.join(", "));
}

fn policies(names: &[String]) -> Result<Vec<Name>, String> {
    if names.is_empty() {
        return Ok(Name::ALL.to_vec());
    }
    let find = |name: &String| {
        let known = Name::ALL.into_iter().find(|n| n.as_str() == name);
        known.ok_or_else(|| format!("there is no policy {name:?}"))
    };
    names.iter().map(find).collect()
}

/// The files of the scenarios that were named, by file or by name, or of all.
fn paths(names: &[String]) -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    if names.is_empty() {
        let files = std::fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
        let mut paths: Vec<_> = files.into_iter().map(|f| f.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
        paths.sort();
        return Ok(paths);
    }
    let path = |name: &String| match name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => folder.join(format!("{name}.toml")),
    };
    Ok(names.iter().map(path).collect())
}
