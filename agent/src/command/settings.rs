//! `rackcast settings`: what is set once for the whole fleet.
#![allow(missing_docs, reason = "the help says it")]

use std::io::{self, Write};
use std::time::SystemTime;

use crate::reach::{Reach, operator};
use clap::{Args, Subcommand};
use rackcast_consul::settings::store::{self, Stored};
use rackcast_consul::settings::{Author, Change, SETTINGS, Setting, find};
use serde_json::{Value, json};

/// Show or change what is set once for the whole fleet, in Consul.
///
/// A setting is a key of the daemons' own configuration, such as ingest.stream.ladder, and counts
/// over their files from a moment after it was written.
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

/// Does it; false if what was asked for is not there.
///
/// # Errors
/// What the operator should read.
pub async fn run(command: &Settings) -> Result<bool, String> {
    match command {
        Settings::List(of) => list(of).await.map(|()| true),
        Settings::Get(named) => {
            let stored = stored(named).await?;
            let value = stored.document.as_ref().and_then(|d| d.now.value.as_ref());
            match (named.of.json, value) {
                (true, _) => say(&format!("{:#}\n", as_json(&stored))),
                (false, Some(value)) => say(&format!("{}\n", plain(value))),
                (false, None) => {}
            }
            Ok(value.is_some())
        }
        Settings::Set { named, value, how } => {
            let read = named.name.kind.read(value);
            let value = read.map_err(|why| format!("{}: {why}", named.name.name))?;
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
                true => say(&format!("{:#}\n", json!(changes.collect::<Vec<_>>()))),
                false => changes.for_each(|change| say(&line(change))),
            }
            Ok(stored.document.is_some())
        }
    }
}

async fn list(of: &Of) -> Result<(), String> {
    let client = of.reach.client().map_err(|e| e.to_string())?;
    let all = store::list(&client).await.map_err(|e| e.to_string())?;
    if of.json {
        say(&format!(
            "{:#}\n",
            json!(all.iter().map(as_json).collect::<Vec<_>>())
        ));
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
        say(&format!("{:widest$}  {value}{by}\n", setting.name));
        say(&format!(
            "{:widest$}    {}: {}\n",
            "", setting.about, setting.kind
        ));
    }
    Ok(())
}

async fn stored(named: &Named) -> Result<Stored, String> {
    let client = named.of.reach.client().map_err(|e| e.to_string())?;
    store::get(&client, named.name)
        .await
        .map_err(|e| e.to_string())
}

async fn write(named: &Named, value: Option<Value>, how: &How) -> Result<bool, String> {
    let client = named.of.reach.client().map_err(|e| e.to_string())?;
    let author = Author::new(&operator(), SystemTime::now(), &how.reason);
    let done = store::set(&client, named.name, value, &author, how.if_revision).await;
    match done.map_err(|e| e.to_string())? {
        Some(_) => {}
        None => eprintln!("rackcast: {} is so already", named.name.name),
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

fn say(text: &str) {
    // A reader that has gone away, as `head` does, wants no more.
    let _ = io::stdout().write_all(text.as_bytes());
}
