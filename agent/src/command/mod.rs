//! `rackcast`, the operator's command: what can be asked, and how it ends.
//!
//! Everything is defined here once: the help, the shell completions and the manual pages
//! ([`generate`]) are made from [`Args`].

pub mod config;
pub mod consul;
pub mod drain;
mod exit;
pub mod fleet;
pub mod generate;
pub mod inventory;
pub mod nodes;
pub mod settings;
pub mod status;
pub mod streams;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::{dev, explain};
pub use exit::Exit;

/// Live video from a rack of unlike machines: the operator's command.
///
/// Exits with 0 for yes, 1 for no (not well, not found, refused), 2 if nobody could be asked or the
/// command was not understood, 3 if the answer is incomplete.
#[derive(Debug, Parser)]
#[command(name = "rackcast", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
#[allow(
    missing_docs,
    reason = "the options say it, and the help takes it from there"
)]
pub enum Command {
    Status(status::Options),
    Nodes(nodes::Options),
    Streams(streams::Options),
    Inventory(inventory::Options),
    Drain(drain::Options),
    Resume(drain::ResumeOptions),
    Explain(explain::Options),
    Dev(dev::Options),
    /// Work with configuration files.
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Consul(consul::Consul),
    #[command(subcommand)]
    Settings(settings::Settings),
    Completions(generate::Completions),
    #[command(hide = true)]
    Man(generate::Man),
}

/// How to reach the agent of this machine.
#[derive(Debug, Clone, clap::Args)]
pub struct ControlSocket {
    /// The agent's control socket.
    #[arg(
        long,
        value_name = "PATH",
        env = "RACKCAST_CONTROL",
        default_value = "/run/rackcast/agent.control"
    )]
    pub control: PathBuf,
}

/// Prints to standard output.
pub fn say(text: impl Display) {
    // A reader that has gone away, as `head` does, wants no more.
    let _ = write!(io::stdout(), "{text}");
}

/// Prints JSON to standard output.
pub fn say_json(value: &impl Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            say(format_args!("{text}\n"));
            Exit::Yes
        }
        Err(error) => complain(Exit::Unasked, &error),
    }
}

/// Says what is wrong, on standard error.
pub fn complain(exit: Exit, error: &dyn Display) -> Exit {
    eprintln!("rackcast: {error}");
    exit
}
