//! `rackcast-transcode`: read the configuration, serve, drain, end. `worker` is the same
//! program as its own child.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rackcast_service::cli::EXIT_CONFIG;
use rackcast_service::process::be_called;
use rackcast_service::reload::Live;
use rackcast_service::{config, fault, log as logging, shutdown};
use rackcast_transcode::config::{Config, RULES};
use rackcast_transcode::node;
use rackcast_transcode::pipeline::{Encoder, EncoderConfig};
use rackcast_transcode::worker::child::{self, Settings};

/// Transcodes segments of live video for ingest nodes.
#[derive(Parser)]
#[command(name = "rackcast-transcode", version)]
struct Arguments {
    /// Configuration file (TOML); without one every key has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration and exit: 0 when it is good, 78 with the reason when not.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Takes jobs from the supervisor that started it.
    #[command(hide = true)]
    Worker(WorkerArguments),
}

#[derive(Args)]
struct WorkerArguments {
    /// Which one it is, for whoever looks at the list of processes.
    #[arg(long)]
    name: String,
    /// What it works with, for the same reader.
    #[arg(long)]
    device: String,
    #[arg(long)]
    encoder: Encoder,
    #[arg(long)]
    threads: u32,
    #[arg(long)]
    preset: String,
    #[arg(long)]
    warm_pipelines: usize,
    #[arg(long)]
    log_level: log::LevelFilter,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Worker(worker)) => work(worker),
        None => serve(&arguments),
    }
}

fn serve(arguments: &Arguments) -> ExitCode {
    let nowhere = Path::new("(no --config)");
    let loaded = match &arguments.config {
        Some(file) => {
            config::read(file).and_then(|text| Live::new(file, text, Config::check, RULES))
        }
        None => Live::new(nowhere, String::new(), Config::check, RULES),
    };
    let live = match loaded {
        Ok(live) => live,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if arguments.check {
        eprintln!("the configuration is good");
        return ExitCode::SUCCESS;
    }
    run(
        tokio::runtime::Builder::new_multi_thread(),
        live.config().log_level,
        async {
            fault::on_demand();
            node::run(live, shutdown::signals()).await
        },
    )
}

fn work(arguments: WorkerArguments) -> ExitCode {
    let WorkerArguments {
        name,
        device,
        encoder,
        threads,
        preset,
        warm_pipelines,
        log_level,
    } = arguments;
    let settings = Settings {
        encoder: EncoderConfig {
            encoder,
            threads,
            preset,
        },
        warm_pipelines,
    };
    run(
        tokio::runtime::Builder::new_current_thread(),
        log_level,
        async {
            if let Err(error) = be_called(&name) {
                log::debug!("{name} has another name in lists of processes: {error}");
            }
            log::debug!("{name} begins on {device}");
            child::serve(settings).await
        },
    )
}

fn run<E: std::fmt::Display>(
    mut runtime: tokio::runtime::Builder,
    level: log::LevelFilter,
    task: impl Future<Output = Result<(), E>>,
) -> ExitCode {
    if let Err(e) = logging::init(level) {
        eprintln!("{e}");
        return ExitCode::FAILURE;
    }
    let result = match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(task).map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e}");
            ExitCode::FAILURE
        }
    }
}
