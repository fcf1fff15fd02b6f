//! `rackcast-ingest`: takes publishers and serves their streams as HLS.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rackcast_ingest::config::Config;
use rackcast_ingest::{generation, supervisor};
use rackcast_service::cli::DaemonArgs;
use rackcast_service::shutdown;

#[derive(Debug, Parser)]
#[command(name = "rackcast-ingest", version, about)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Part {
    /// Does the work; started by the supervisor alone.
    #[command(hide = true)]
    Generation,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = match args.daemon.configuration(Config::check) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(e) = rackcast_service::log::init(config.log_level) {
        eprintln!("the log cannot be written: {e}");
        return ExitCode::FAILURE;
    }
    match run(&args, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match args.part {
            None => {
                let stop = shutdown::signals();
                supervisor::run(&config, &args.daemon.config, stop).await?;
            }
            Some(Part::Generation) => generation::run(config).await?,
        }
        Ok(())
    })
}
