//! `rackcast`: the operator's command.

use std::process::ExitCode;

use clap::Parser;
use rackcast_agent::command::{
    Args, Command, Exit, complain, config, consul, drain, generate, inventory, nodes, say,
    settings, status, streams,
};
use rackcast_agent::dev::{self, DevError, Programs};
use rackcast_agent::explain;
use rackcast_service::{log as logging, shutdown};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logging::init(log::LevelFilter::Info) {
        return complain(Exit::No, &error).into();
    }
    match args.command {
        Command::Status(options) => ask(status::run(&options)),
        Command::Nodes(options) => ask(nodes::run(&options)),
        Command::Streams(options) => ask(streams::run(&options)),
        Command::Inventory(options) => ask(inventory::run(&options)),
        Command::Drain(options) => ask(drain::drain(&options)),
        Command::Resume(options) => ask(drain::resume(&options)),
        Command::Explain(options) => run_explain(&options),
        Command::Dev(options) => run_dev(options)
            .map_or_else(|error| complain(Exit::No, &error), |()| Exit::Yes)
            .into(),
        Command::Config(options) => config::run(options).into(),
        Command::Consul(command) => ask(consul::run(&command)),
        Command::Settings(command) => ask(settings::run(&command)),
        Command::Completions(options) => generate::completions(&options).into(),
        Command::Man(options) => generate::man(&options).into(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn ask(question: impl Future<Output = Exit>) -> ExitCode {
    question.await.into()
}

#[tokio::main]
async fn run_dev(options: dev::Options) -> Result<(), DevError> {
    let wanted = options.clone();
    dev::run(options, || Programs::find(&wanted), shutdown::signals()).await
}

#[tokio::main(flavor = "current_thread")]
async fn run_explain(options: &explain::Options) -> ExitCode {
    let told = explain::explain(options).await;
    say(&told.text);
    for complaint in &told.complaints {
        eprintln!("rackcast: {complaint}");
    }
    told.end.into()
}
