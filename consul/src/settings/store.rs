//! Reads and writes the documents.

use std::time::Duration;

use serde_json::Value;

use super::PREFIX;
use super::document::{Author, Document};
use super::list::{SETTINGS, Setting};
use super::value::Invalid;
use crate::client::{Client, Entry, Error, Write};

/// How often a write begins anew because somebody else wrote meanwhile.
const TRIES: u32 = 20;
/// Longest pause before it does.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a setting could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Consul did not do it.
    #[error(transparent)]
    Consul(#[from] Error),
    /// The value is none for this setting.
    #[error("{name}: {why}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What is wrong, and what would be right.
        why: Invalid,
    },
    /// It is not what the caller took it for.
    #[error("{name} was changed meanwhile: it is at revision {found} and not at {expected}")]
    Changed {
        /// The setting.
        name: &'static str,
        /// The revision that was expected.
        expected: u64,
        /// The revision that was found.
        found: u64,
    },
    /// Others kept writing.
    #[error("{0} is being changed by others all the time; try again")]
    Contended(&'static str),
    /// What stands in Consul is no document of ours.
    #[error("{PREFIX}{name} in Consul is not what `rackcast settings` writes: {why}")]
    Damaged {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A setting as it stands in Consul.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The setting.
    pub setting: &'static Setting,
    /// Grows with every change; 0 where nothing was ever set.
    pub revision: u64,
    /// The document, if there is one.
    pub document: Option<Document>,
}

/// Reads one setting.
///
/// # Errors
/// Consul does not answer, or the document cannot be read.
pub async fn get(client: &Client, setting: &'static Setting) -> Result<Stored, StoreError> {
    stored(setting, client.kv_get(&key(setting)).await?)
}

/// Reads all settings in the order of the list, those included that nobody has set.
///
/// # Errors
/// Consul does not answer, or a document cannot be read.
pub async fn list(client: &Client) -> Result<Vec<Stored>, StoreError> {
    let mut entries = client.kv_list(PREFIX, 0, Duration::ZERO).await?.value;
    let mut take = |setting: &Setting| {
        let at = entries.iter().position(|entry| entry.key == key(setting))?;
        Some(entries.swap_remove(at))
    };
    SETTINGS
        .iter()
        .map(|setting| stored(setting, take(setting)))
        .collect()
}

/// Writes a setting, or unsets it with `None`; `None` is returned if it was so already. Whoever
/// writes at the same time comes before or after, never in between: each change builds on the one
/// before and has it in its history. With a revision, only if it is still at that.
///
/// # Errors
/// The value is none, the revision has passed, or Consul does not take it.
pub async fn set(
    client: &Client,
    setting: &'static Setting,
    value: Option<Value>,
    author: &Author,
    revision: Option<u64>,
) -> Result<Option<Document>, StoreError> {
    let name = setting.name;
    if let Some(value) = &value {
        let checked = setting.kind.check(value);
        checked.map_err(|why| StoreError::Invalid { name, why })?;
    }
    for _ in 0..TRIES {
        let entry = client.kv_get(&key(setting)).await?;
        let found = entry.as_ref().map_or(0, |entry| entry.modify_index);
        if let Some(expected) = revision.filter(|revision| *revision != found) {
            return Err(StoreError::Changed {
                name,
                expected,
                found,
            });
        }
        let (value, author) = (value.clone(), author.clone());
        let document = match stored(setting, entry) {
            Ok(stored) => Document::after(stored.document, value, author),
            // What cannot be read is mended by what is written.
            Err(_) => Some(Document::new(value, author)),
        };
        let Some(document) = document else {
            return Ok(None);
        };
        let json = serde_json::to_vec(&document).map_err(|e| Error::Malformed(e.to_string()))?;
        if client
            .kv_put(&key(setting), json, Write::IfAt(found))
            .await?
        {
            return Ok(Some(document));
        }
        tokio::time::sleep(PAUSE.mul_f64(rand::random())).await;
    }
    Err(StoreError::Contended(name))
}

fn key(setting: &Setting) -> String {
    format!("{PREFIX}{}", setting.name)
}

fn stored(setting: &'static Setting, entry: Option<Entry>) -> Result<Stored, StoreError> {
    let revision = entry.as_ref().map_or(0, |entry| entry.modify_index);
    let read = |entry: Entry| serde_json::from_slice(&entry.value);
    let document = entry
        .map(read)
        .transpose()
        .map_err(|error| StoreError::Damaged {
            name: setting.name,
            why: error.to_string(),
        })?;
    Ok(Stored {
        setting,
        revision,
        document,
    })
}
