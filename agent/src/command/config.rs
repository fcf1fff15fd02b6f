//! `rackcast config`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{Exit, complain, say_json};
use crate::check::check;

/// What can be done with configuration files.
#[derive(Debug, Clone, Subcommand)]
pub enum Config {
    /// Check files, each named after its daemon; exits with 1 if one is refused.
    Check {
        /// Such as /etc/rackcast/rackcast-ingest.toml.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What was found as JSON: of each file, why it is refused, or null.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub fn run(config: Config) -> Exit {
    let Config::Check { files, json } = config;
    let checked: Vec<_> = files.into_iter().map(|f| (check(&f).err(), f)).collect();
    if json {
        let found = checked.iter().map(|(refused, file)| {
            let refused = refused.as_ref().map(ToString::to_string);
            json!({ "file": file, "refused": refused })
        });
        say_json(&found.collect::<Vec<_>>());
    }
    let refused = checked.iter().filter_map(|(refused, _)| refused.as_ref());
    refused.fold(Exit::Yes, |_, error| match json {
        true => Exit::No,
        false => complain(Exit::No, error),
    })
}
