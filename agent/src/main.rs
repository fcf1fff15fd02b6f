//! `rackcast-agent`: keeps this machine's services registered in Consul.

use std::process::ExitCode;

use clap::Parser;
use rackcast_agent::{config::Config, daemon};
use rackcast_service::{cli::DaemonArgs, fault, shutdown};

/// Keeps this machine's Rackcast services registered in Consul.
#[derive(Debug, Parser)]
#[command(name = "rackcast-agent", version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let config = match Args::parse().daemon.configuration(Config::check) {
        Ok(config) => config,
        Err(status) => return status,
    };
    if let Err(error) = rackcast_service::log::init(config.log_level) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> Result<(), daemon::StartError> {
    fault::on_demand();
    daemon::run(config, shutdown::signals()).await
}
