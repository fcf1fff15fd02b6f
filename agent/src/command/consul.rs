//! `rackcast consul`: what Rackcast wants to find in Consul.
#![allow(missing_docs, reason = "the help says it")]

use std::io::{self, Write};

use crate::reach::Reach;
use clap::{Args, Subcommand};
use rackcast_consul::artefacts::{self, POLICIES, QUERIES};
use rackcast_consul::client::{Error, Installed};

/// Install or show the ACL policies and prepared queries for Consul.
#[derive(Debug, Subcommand)]
pub enum Consul {
    /// Create them, or replace those of the same names; tokens for them are yours to make.
    Install(Install),
    /// Print the policies, or one of them, as HCL.
    Policies {
        /// Such as rackcast-ingest.
        name: Option<String>,
    },
    /// Print the prepared queries as JSON.
    Queries,
}

#[derive(Debug, Args)]
pub struct Install {
    #[command(flatten)]
    reach: Reach,
    /// Only the policies.
    #[arg(long, conflicts_with = "queries")]
    policies: bool,
    /// Only the prepared queries.
    #[arg(long)]
    queries: bool,
}

/// Does it.
///
/// # Errors
/// What the operator should read.
pub async fn run(command: &Consul) -> Result<(), String> {
    match command {
        Consul::Install(install) => installed(install).await.map_err(|error| match error {
            Error::Forbidden(_) => format!(
                "{error}; it takes a token with acl = \"write\" and query_prefix \"rackcast-\" \
                 {{ policy = \"write\" }}, such as the bootstrap token"
            ),
            error => error.to_string(),
        }),
        Consul::Policies { name } => {
            let wanted = |policy: &str| name.as_deref().is_none_or(|name| name == policy);
            let mut chosen = POLICIES.iter().filter(|p| wanted(p.name)).peekable();
            if chosen.peek().is_none() {
                let names: Vec<_> = POLICIES.iter().map(|policy| policy.name).collect();
                return Err(format!(
                    "there is no such policy, only {}",
                    names.join(", ")
                ));
            }
            chosen.for_each(|policy| say(policy.rules));
            Ok(())
        }
        Consul::Queries => {
            QUERIES.iter().for_each(|(_, query)| say(query));
            Ok(())
        }
    }
}

async fn installed(install: &Install) -> Result<(), Error> {
    let client = install.reach.client()?;
    let mut done = Vec::new();
    if !install.queries {
        let policies = artefacts::install_policies(&client).await?;
        done.extend(
            policies
                .into_iter()
                .map(|(name, how)| ("policy", name, how)),
        );
    }
    if !install.policies {
        let queries = artefacts::install_queries(&client).await?;
        done.extend(
            queries
                .into_iter()
                .map(|(name, how)| ("prepared query", name, how)),
        );
    }
    for (what, name, how) in done {
        let how = match how {
            Installed::Created => "created",
            Installed::Replaced => "replaced",
        };
        say(&format!("{what} {name}: {how}\n"));
    }
    Ok(())
}

fn say(text: &str) {
    // A reader that has gone away, as `head` does, wants no more.
    let _ = io::stdout().write_all(text.as_bytes());
}
