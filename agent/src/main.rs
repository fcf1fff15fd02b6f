//! `rackcast-agent`: keeps this machine's services registered in Consul.

use std::process::ExitCode;

use clap::Parser;
use rackcast_agent::config::{Config, RULES};
use rackcast_agent::daemon;
use rackcast_service::reload::Live;
use rackcast_service::{cli::DaemonArgs, fault, shutdown};

/// Keeps this machine's Rackcast services registered in Consul.
#[derive(Debug, Parser)]
#[command(name = "rackcast-agent", version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let live = match Args::parse().daemon.live(None, Config::check, RULES) {
        Ok(live) => live,
        Err(status) => return status,
    };
    if let Err(error) = rackcast_service::log::init(live.config().log_level) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match run(live) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(live: Live<Config>) -> Result<(), daemon::StartError> {
    fault::on_demand();
    let config = Config::clone(&live.config());
    daemon::run(config, Some(live), shutdown::signals()).await
}
