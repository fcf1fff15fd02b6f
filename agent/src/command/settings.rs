//! `rackcast settings`: what is set once for the whole fleet.
#![allow(missing_docs, reason = "the help says it")]

use std::time::SystemTime;

use clap::{Args, Subcommand};
use rackcast_consul::client::Error;
use rackcast_consul::settings::store::{self, StoreError, Stored};
use rackcast_consul::settings::{Author, Change, SETTINGS, Setting, find};
use serde_json::{Value, json};

use super::{Exit, complain, say};
use crate::reach::{Reach, operator};

/// Show or change what is set once for the whole fleet, in Consul.
///
/// A setting is a key of the daemons' own configuration, such as ingest.stream.ladder, and counts
/// over their files from a moment after it was written.
///
/// Exits with 1 if a setting is not set or a change is refused, and with 2 if Consul could not be
/// asked.
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// All that can be set, with what is.
    List(Of),
    /// The value of a setting; exits with 1 if it is not set.
    Get(Named),
    /// Change a setting.
    Set {
        #[command(flatten)]
        named: Named,
        /// The value; `rackcast settings list` says what it may be.
        value: String,
        #[command(flatten)]
        how: How,
    },
    /// Let each daemon's file count again.
    Unset {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        how: How,
    },
    /// Who set it to what, when and why; the newest first.
    History(Named),
}

#[derive(Debug, Args)]
pub struct Of {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub struct Named {
    /// Such as ingest.stream.ladder.
    #[arg(value_parser = setting)]
    name: &'static Setting,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
pub struct How {
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    /// Only if the setting is still at this revision, as `get --json` tells it.
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

fn setting(name: &str) -> Result<&'static Setting, String> {
    find(name).ok_or_else(|| {
        let last = name.rsplit('.').next().unwrap_or(name);
        let like = SETTINGS
            .iter()
            .filter(|s| s.name.contains(last))
            .map(|s| s.name);
        match like.collect::<Vec<_>>().join(", ") {
            like if like.is_empty() => {
                "no such setting; `rackcast settings list` has them all".to_owned()
            }
            like => format!("no such setting; did you mean {like}?"),
        }
    })
}

/// Does it, and says how it ended.
pub async fn run(command: &Settings) -> Exit {
    match tried(command).await {
        Ok(true) => Exit::Yes,
        Ok(false) => Exit::No,
        Err(error) => {
            let changes = matches!(command, Settings::Set { .. } | Settings::Unset { .. });
            complain(ending(&error, changes), &error)
        }
    }
}

/// A change may be refused; a question that was not answered is no answer.
fn ending(error: &StoreError, changes: bool) -> Exit {
    let refused = match error {
        StoreError::Consul(Error::Forbidden(_)) => changes,
        StoreError::Consul(_) | StoreError::Damaged { .. } => false,
        StoreError::Invalid { .. } | StoreError::Changed { .. } | StoreError::Contended(_) => true,
    };
    if refused { Exit::No } else { Exit::Unasked }
}

/// Does it; false if what was asked for is not there.
async fn tried(command: &Settings) -> Result<bool, StoreError> {
    match command {
        Settings::List(of) => list(of).await.map(|()| true),
        Settings::Get(named) => {
            let stored = stored(named).await?;
            let value = stored.document.as_ref().and_then(|d| d.now.value.as_ref());
            match (named.of.json, value) {
                (true, _) => say(format_args!("{:#}\n", as_json(&stored))),
                (false, Some(value)) => say(format_args!("{}\n", plain(value))),
                (false, None) => {}
            }
            Ok(value.is_some())
        }
        Settings::Set { named, value, how } => {
            let read = named.name.kind.read(value);
            let value = read.map_err(|why| {
                let name = named.name.name;
                StoreError::Invalid { name, why }
            })?;
            write(named, Some(value), how).await
        }
        Settings::Unset { named, how } => write(named, None, how).await,
        Settings::History(named) => {
            let stored = stored(named).await?;
            let changes = stored
                .document
                .iter()
                .flat_map(|d| [&d.now].into_iter().chain(&d.history));
            match named.of.json {
                true => say(format_args!("{:#}\n", json!(changes.collect::<Vec<_>>()))),
                false => changes.for_each(|change| say(line(change))),
            }
            Ok(stored.document.is_some())
        }
    }
}

async fn list(of: &Of) -> Result<(), StoreError> {
    let client = of.reach.client()?;
    let all = store::list(&client).await?;
    if of.json {
        let all: Vec<_> = all.iter().map(as_json).collect();
        say(format_args!("{:#}\n", json!(all)));
        return Ok(());
    }
    let widest = SETTINGS.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for stored in all {
        let setting = stored.setting;
        let now = stored
            .document
            .and_then(|d| Some((d.now.value?, d.now.author)));
        let (value, by) = match now {
            Some((value, author)) => (plain(&value), format!("  ({})", author.by)),
            None => ("-".to_owned(), String::new()),
        };
        say(format_args!("{:widest$}  {value}{by}\n", setting.name));
        say(format_args!(
            "{:widest$}    {}: {}\n",
            "", setting.about, setting.kind
        ));
    }
    Ok(())
}

async fn stored(named: &Named) -> Result<Stored, StoreError> {
    let client = named.of.reach.client()?;
    store::get(&client, named.name).await
}

async fn write(named: &Named, value: Option<Value>, how: &How) -> Result<bool, StoreError> {
    let client = named.of.reach.client()?;
    let author = Author::new(&operator(), SystemTime::now(), &how.reason);
    let done = store::set(&client, named.name, value, &author, how.if_revision).await?;
    if done.is_none() {
        eprintln!("rackcast: {} is so already", named.name.name);
    }
    Ok(true)
}

fn as_json(stored: &Stored) -> Value {
    let now = stored.document.as_ref().map(|d| &d.now);
    json!({
        "name": stored.setting.name,
        "value": now.and_then(|now| now.value.clone()),
        "revision": stored.revision,
        "changed": now.map(|now| json!(now.author)),
        "about": stored.setting.about,
        "may_be": stored.setting.kind.to_string(),
    })
}

fn line(change: &Change) -> String {
    let author = &change.author;
    let value = change.value.as_ref().map_or("(unset)".to_owned(), plain);
    let at = humantime::format_rfc3339_seconds(author.at);
    let why = match author.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", reason.escape_debug()),
    };
    format!("{at}  {value}  by {}{why}\n", author.by.escape_debug())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| text.escape_debug().to_string())
}
