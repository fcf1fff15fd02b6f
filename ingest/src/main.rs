//! `rackcast-ingest`: takes publishers and serves their streams as HLS.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rackcast_ingest::config::Config;
use rackcast_ingest::reload::RULES;
use rackcast_ingest::supervisor::control::CONFIG_FD;
use rackcast_ingest::{generation, probe, supervisor};
use rackcast_service::cli::DaemonArgs;
use rackcast_service::process::{be_called, inherited};
use rackcast_service::reload::Live;
use rackcast_service::{fault, shutdown, vital};

#[derive(Debug, Parser)]
#[command(name = "rackcast-ingest", version, about)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Subcommand)]
enum Part {
    /// Does the work; started by the supervisor alone.
    #[command(hide = true)]
    Generation {
        /// Tells it from the others.
        number: u64,
    },
    /// Says whether this program could go on where a running supervisor is; asked by that alone.
    #[command(hide = true)]
    CanResume,
    Probe(probe::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let live = match args.daemon.live(handed_over(), Config::check, RULES) {
        Ok(live) => live,
        Err(code) => return code,
    };
    if let Some(Part::CanResume) = args.part {
        return can_resume();
    }
    if let Err(e) = rackcast_service::log::init(live.config().log_level) {
        eprintln!("the log cannot be written: {e}");
        return ExitCode::FAILURE;
    }
    let unasked = match args.part {
        Some(Part::Probe(_)) => ExitCode::from(probe::UNASKED),
        _ => ExitCode::FAILURE,
    };
    run(args.part, live).unwrap_or_else(|e| {
        log::error!("{e}");
        unasked
    })
}

/// The text of the configuration file, as the supervisor read it: the file may be another by now.
fn handed_over() -> Option<String> {
    let mut text = String::new();
    let mut file = File::from(inherited(CONFIG_FD).ok()?);
    file.read_to_string(&mut text).ok().map(|_| text)
}

fn can_resume() -> ExitCode {
    match supervisor::can_resume() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(part: Option<Part>, live: Live<Config>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match part {
            None => {
                fault::on_demand();
                vital::or_ended(supervisor::run(live, shutdown::signals())).await??;
            }
            Some(Part::Generation { number }) => {
                if let Err(e) = be_called(env!("CARGO_BIN_NAME")) {
                    log::debug!("it has another name in lists of processes: {e}");
                }
                vital::or_ended(generation::run(live, number)).await??;
            }
            Some(Part::Probe(options)) => {
                let report = probe::run(&live.config(), &options).await?;
                print!("{report}");
                return Ok(ExitCode::from(report.exit()));
            }
            // It was answered before.
            Some(Part::CanResume) => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}
