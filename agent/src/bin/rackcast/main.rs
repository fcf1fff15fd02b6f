//! `rackcast`: the operator's command.

mod consul;
mod generate;
mod settings;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use rackcast_agent::check::check;
use rackcast_agent::dev::{self, DevError, Programs};
use rackcast_agent::explain;
use rackcast_agent::machine::Machine;
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
    Explain(explain::Options),
    /// Show the services of this machine; exits with 1 if one is not well.
    Status {
        /// Folder of the services' status sockets.
        #[arg(long, value_name = "DIR", default_value = "/run/rackcast")]
        socket_dir: PathBuf,
    },
    /// Work with configuration files.
    #[command(subcommand)]
    Config(Config),
    #[command(subcommand)]
    Consul(consul::Consul),
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the man pages of this command, for a package.
    #[command(hide = true)]
    Man {
        /// Folder to write them into.
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Check files, each named after its daemon; exits with 1 if one is refused.
    Check {
        /// Such as /etc/rackcast/rackcast-ingest.toml.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logging::init(log::LevelFilter::Info) {
        return failed(&error);
    }
    match args.command {
        Command::Dev(options) => run_dev(options).map_or_else(|error| failed(&error), |()| good()),
        Command::Explain(options) => run_explain(&options),
        Command::Status { socket_dir } => status(&socket_dir),
        Command::Consul(command) => run_consul(&command),
        Command::Settings(command) => run_settings(&command),
        Command::Config(Config::Check { files }) => {
            let refused = files.iter().filter_map(|file| check(file).err());
            refused.fold(good(), |_, error| failed(&error))
        }
        Command::Completions { shell } => ended(generate::completions(&mut Args::command(), shell)),
        Command::Man { folder } => ended(generate::man_pages(Args::command(), &folder)),
    }
}

#[tokio::main]
async fn run_dev(options: dev::Options) -> Result<(), DevError> {
    let wanted = options.clone();
    dev::run(options, || Programs::find(&wanted), shutdown::signals()).await
}

#[tokio::main(flavor = "current_thread")]
async fn run_explain(options: &explain::Options) -> ExitCode {
    let told = explain::explain(options).await;
    // A reader that has gone away, as `head` does, wants no more.
    let _ = write!(io::stdout(), "{}", told.text);
    for complaint in &told.complaints {
        eprintln!("rackcast: {complaint}");
    }
    told.end.into()
}

#[tokio::main(flavor = "current_thread")]
async fn run_consul(command: &consul::Consul) -> ExitCode {
    match consul::run(command).await {
        Ok(()) => good(),
        Err(error) => failed(&error),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run_settings(command: &settings::Settings) -> ExitCode {
    match settings::run(command).await {
        Ok(true) => good(),
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn status(folder: &Path) -> ExitCode {
    match Machine::ask(folder).await {
        Ok(machine) => {
            // A reader that has gone away, as `head` does, wants no more.
            let _ = write!(io::stdout(), "{machine}");
            if machine.is_well() {
                good()
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => failed(&format!("{}: {error}", folder.display())),
    }
}

fn ended(result: io::Result<()>) -> ExitCode {
    result.map_or_else(|error| failed(&error), |()| good())
}

fn good() -> ExitCode {
    ExitCode::SUCCESS
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("rackcast: {error}");
    ExitCode::FAILURE
}
