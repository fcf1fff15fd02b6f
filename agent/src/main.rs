//! `rackcast-agent`: keeps this machine's services registered in Consul.
//!
//! SIGTERM and SIGINT end it and deregister everything; SIGUSR2 ends it and leaves that to the
//! successor that is about to start.

use std::process::ExitCode;

use clap::Parser;
use rackcast_agent::config::{Config, RULES};
use rackcast_agent::daemon;
use rackcast_service::reload::Live;
use rackcast_service::{cli::DaemonArgs, fault, shutdown, vital};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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
async fn run(live: Live<Config>) -> Result<(), Box<dyn std::error::Error>> {
    fault::on_demand();
    let config = Config::clone(&live.config());
    let daemon = daemon::run_until(config, Some(live), shutdown::signals(), hand_over());
    Box::pin(vital::or_ended(daemon)).await??;
    Ok(())
}

/// A token that SIGUSR2 cancels.
fn hand_over() -> CancellationToken {
    let token = CancellationToken::new();
    match signal(SignalKind::user_defined2()) {
        Ok(mut signals) => {
            let cancel = token.clone();
            tokio::spawn(async move {
                if signals.recv().await.is_some() {
                    log::info!("SIGUSR2 received: ending, the registrations stay");
                    cancel.cancel();
                }
            });
        }
        Err(error) => log::error!("cannot watch for SIGUSR2: {error}"),
    }
    token
}
