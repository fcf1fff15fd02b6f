//! `rackcast-transcode`: read the configuration, serve, drain, end. `worker` is the same
//! program as its own child.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rackcast_service::cli::EXIT_CONFIG;
use rackcast_service::process::be_called;
use rackcast_service::reload::Live;
use rackcast_service::{config, fault, log as logging, shutdown, vital};
use rackcast_transcode::config::{Config, RULES};
use rackcast_transcode::device::look;
use rackcast_transcode::node;
use rackcast_transcode::pipeline::{Encoder, EncoderConfig, Fault, Simulation};
use rackcast_transcode::worker::child::{self, Settings};

/// Transcodes segments of live video for ingest nodes.
#[derive(Parser)]
#[command(name = "rackcast-transcode", version)]
struct Arguments {
    /// Configuration file (TOML); without one every key has its default.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Check the configuration and exit: 0 when it is good, 78 with the reason when not.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Say which GPUs this machine has, and what those lack that cannot be used.
    Devices {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Of NVIDIA, in the place of the configuration's `gpu.library`.
        #[arg(long, hide = true)]
        driver_library: Option<String>,
    },
    /// Measure what this machine's devices can do, and how many workers are best. Stop the service
    /// first: it takes a minute, and all of the machine.
    Calibrate {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
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
    render_node: Option<u32>,
    /// It only pretends, at so many output pixels a second.
    #[arg(long)]
    pixel_rate: Option<u64>,
    #[arg(long, requires = "fault_every")]
    fault: Option<Fault>,
    #[arg(long)]
    fault_every: Option<u32>,
    #[arg(long)]
    warm_pipelines: usize,
    #[arg(long)]
    log_level: log::LevelFilter,
}

impl WorkerArguments {
    fn settings(self) -> Settings {
        match self.pixel_rate {
            Some(pixel_rate) => Settings::Simulated(Simulation {
                pixel_rate,
                fault: self.fault.zip(self.fault_every),
            }),
            None => Settings::Real {
                encoder: EncoderConfig {
                    encoder: self.encoder,
                    threads: self.threads,
                    preset: self.preset,
                    render_node: self.render_node,
                },
                warm_pipelines: self.warm_pipelines,
            },
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Worker(worker)) => work(worker),
        Some(Role::Devices {
            json,
            driver_library,
        }) => devices(arguments.config.as_deref(), driver_library, json),
        Some(Role::Calibrate { json }) => calibrate(arguments.config.as_deref(), json),
        None => serve(&arguments),
    }
}

fn load(file: Option<&Path>) -> Result<Live<Config>, config::ConfigError> {
    let nowhere = Path::new("(no --config)");
    match file {
        Some(file) => {
            config::read(file).and_then(|text| Live::new(file, text, Config::check, RULES))
        }
        None => Live::new(nowhere, String::new(), Config::check, RULES),
    }
}

fn serve(arguments: &Arguments) -> ExitCode {
    let live = match load(arguments.config.as_deref()) {
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
            let node = vital::or_ended(node::run(live, shutdown::signals()));
            match node.await {
                Ok(ended) => ended.map_err(|e| e.to_string()),
                Err(ended) => Err(ended.to_string()),
            }
        },
    )
}

fn work(arguments: WorkerArguments) -> ExitCode {
    run(
        tokio::runtime::Builder::new_current_thread(),
        arguments.log_level,
        async {
            let (name, device) = (arguments.name.clone(), arguments.device.clone());
            if let Err(error) = be_called(&name) {
                log::debug!("{name} has another name in lists of processes: {error}");
            }
            log::debug!("{name} begins on {device}");
            child::serve(arguments.settings()).await
        },
    )
}

fn calibrate(file: Option<&Path>, json: bool) -> ExitCode {
    let live = match load(file) {
        Ok(live) => live,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    run(
        tokio::runtime::Builder::new_multi_thread(),
        log::LevelFilter::Warn,
        async {
            let report = node::calibrate(&live.config()).await;
            match json {
                true => println!(
                    "{}",
                    serde_json::to_string(&report).map_err(|e| e.to_string())?
                ),
                false => print!("{report}"),
            }
            match report.is_complete() {
                true => Ok(()),
                false => Err("not every device could be measured".to_owned()),
            }
        },
    )
}

fn devices(file: Option<&Path>, library: Option<String>, json: bool) -> ExitCode {
    let live = match load(file) {
        Ok(live) => live,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if let Err(e) = logging::init(log::LevelFilter::Warn) {
        eprintln!("{e}");
        return ExitCode::FAILURE;
    }
    let library = library.unwrap_or_else(|| live.config().gpu.library.clone());
    let found = match look::here(&library) {
        Ok(found) => found,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    if json {
        match serde_json::to_string(&found) {
            Ok(text) => println!("{text}"),
            Err(e) => {
                eprintln!("{e}");
                return ExitCode::FAILURE;
            }
        }
        return ExitCode::SUCCESS;
    }
    println!("cpu");
    for gpu in found {
        let how = match gpu.is_usable() {
            true => "can be tried",
            false => gpu.lacks.as_str(),
        };
        println!(
            "{}  {}  {}  {how}",
            gpu.name,
            gpu.node.display(),
            gpu.driver
        );
    }
    ExitCode::SUCCESS
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
