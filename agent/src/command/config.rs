//! `rackcast config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Exit, complain};
use crate::check::check;

/// What can be done with configuration files.
#[derive(Debug, Clone, Subcommand)]
pub enum Config {
    /// Check files, each named after its daemon; exits with 1 if one is refused.
    Check {
        /// Such as /etc/rackcast/rackcast-ingest.toml.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Does it.
pub fn run(config: Config) -> Exit {
    let Config::Check { files } = config;
    let refused = files.iter().filter_map(|file| check(file).err());
    refused.fold(Exit::Yes, |_, error| complain(Exit::No, &error))
}
