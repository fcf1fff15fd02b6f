//! `rackcast`: the operator's command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rackcast_agent::dev::{self, DevError, Programs};
use rackcast_service::{log as logging, shutdown};

/// Live video from a rack of unlike machines: the operator's command.
#[derive(Debug, Parser)]
#[command(name = "rackcast", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logging::init(log::LevelFilter::Info) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let result = match args.command {
        Command::Dev(options) => run_dev(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rackcast: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run_dev(options: dev::Options) -> Result<(), DevError> {
    let wanted = options.clone();
    dev::run(options, || Programs::find(&wanted), shutdown::signals()).await
}
