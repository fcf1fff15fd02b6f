//! `rackcast consul`: what Rackcast wants to find in Consul.
#![allow(missing_docs, reason = "the help says it")]

use clap::{Args, Subcommand};
use rackcast_consul::artefacts::{self, POLICIES, QUERIES};
use rackcast_consul::client::{Error, Installed};

use super::{Exit, complain, say};
use crate::reach::Reach;

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

/// Does it, and says how it ended.
pub async fn run(command: &Consul) -> Exit {
    match command {
        Consul::Install(install) => match installed(install).await {
            Ok(()) => Exit::Yes,
            Err(error @ Error::Forbidden(_)) => {
                let wants = "it takes a token with acl = \"write\" and query_prefix \"rackcast-\" \
                             { policy = \"write\" }, such as the bootstrap token";
                complain(Exit::No, &format_args!("{error}; {wants}"))
            }
            Err(error) => complain(Exit::Unasked, &error),
        },
        Consul::Policies { name } => {
            let wanted = |policy: &str| name.as_deref().is_none_or(|name| name == policy);
            let mut chosen = POLICIES.iter().filter(|p| wanted(p.name)).peekable();
            if chosen.peek().is_none() {
                let names: Vec<_> = POLICIES.iter().map(|policy| policy.name).collect();
                let names = names.join(", ");
                return complain(
                    Exit::No,
                    &format_args!("there is no such policy, only {names}"),
                );
            }
            chosen.for_each(|policy| say(policy.rules));
            Exit::Yes
        }
        Consul::Queries => {
            QUERIES.iter().for_each(|(_, query)| say(query));
            Exit::Yes
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
        say(format_args!("{what} {name}: {how}\n"));
    }
    Ok(())
}
