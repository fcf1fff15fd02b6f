//! Which ingest has which stream: the directory in KV under [`PREFIX`].
//!
//! One key for each life of a stream, `<app>/<stream>/<epoch>`: two ingests that have the same
//! stream never write the same key, and the newest epoch wins for whoever reads. An ingest writes
//! its entries in the name of a session, so that Consul removes them when the ingest or its machine
//! is gone. Nothing waits for the directory: an ingest without Consul works as before, only nobody
//! else finds its streams.

use std::time::{Duration, SystemTime};

use rackcast_segment::id::StreamId;
use serde::{Deserialize, Serialize};

use crate::client::{Client, Entry, Error, Write};

/// Keys of the directory begin with this.
pub const PREFIX: &str = "rackcast/streams/";

/// Where a stream is, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The ingest, as the catalog calls it.
    pub ingest: String,
    /// Its machine.
    pub node: String,
    /// Its zone, if it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// The stream's epoch there.
    pub epoch: u64,
    /// The number of the newest segment when this was written.
    pub sequence: u64,
    /// The `EXT-X-DISCONTINUITY-SEQUENCE` of that segment; older ingests do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discontinuity: Option<u64>,
    /// Its publisher was lost there, and may return.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
    /// Base address for players.
    pub public: String,
    /// `HOST:PORT` for other ingests.
    pub internal: String,
    /// When the epoch began.
    #[serde(with = "humantime_serde")]
    pub since: SystemTime,
    /// When this was written.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
}

/// All entries, sorted by stream, the newest epoch of each first. What cannot be read is left out.
///
/// # Errors
/// Consul does not answer.
pub async fn list(client: &Client) -> Result<Vec<(StreamId, Place)>, Error> {
    let mut all = read(client, PREFIX).await?;
    all.sort_by(|(a, at), (b, bt)| {
        let names = a.to_string().cmp(&b.to_string());
        names.then(bt.epoch.cmp(&at.epoch))
    });
    Ok(all)
}

/// The entries of one stream, the newest epoch first.
///
/// # Errors
/// Consul does not answer.
pub async fn find(client: &Client, stream: &StreamId) -> Result<Vec<Place>, Error> {
    let all = read(client, &format!("{PREFIX}{stream}/")).await?;
    let mut places: Vec<Place> = all.into_iter().map(|(_, place)| place).collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.epoch));
    Ok(places)
}

/// Enters a stream, or writes its entry anew, in the name of a session. False if the session may
/// not: another one has the entry.
///
/// # Errors
/// Consul does not take it; [`Error::Server`] also where there is no such session any more.
pub async fn enter(
    client: &Client,
    stream: &StreamId,
    place: &Place,
    session: &str,
) -> Result<bool, Error> {
    let json = serde_json::to_vec(place).map_err(|e| Error::Malformed(e.to_string()))?;
    let key = key(stream, place.epoch);
    client.kv_put(&key, json, Write::By(session)).await
}

/// Takes an entry out, if there is one.
///
/// # Errors
/// Consul does not do it.
pub async fn remove(client: &Client, stream: &StreamId, epoch: u64) -> Result<(), Error> {
    let key = key(stream, epoch);
    match client.kv_get(&key).await? {
        Some(entry) => client.kv_delete(&key, entry.modify_index).await.map(drop),
        None => Ok(()),
    }
}

async fn read(client: &Client, prefix: &str) -> Result<Vec<(StreamId, Place)>, Error> {
    let entries = client.kv_list(prefix, 0, Duration::ZERO).await?.value;
    Ok(entries.iter().filter_map(understood).collect())
}

fn key(stream: &StreamId, epoch: u64) -> String {
    format!("{PREFIX}{stream}/{epoch}")
}

/// An entry that names what its key names.
fn understood(entry: &Entry) -> Option<(StreamId, Place)> {
    let (stream, epoch) = entry.key.strip_prefix(PREFIX)?.rsplit_once('/')?;
    let place: Place = serde_json::from_slice(&entry.value).ok()?;
    (epoch.parse() == Ok(place.epoch)).then_some((stream.parse().ok()?, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Entry {
        Entry {
            key: key.to_owned(),
            value: value.to_owned().into(),
            modify_index: 1,
            session: None,
        }
    }

    #[test]
    fn an_entry_is_believed_if_it_says_what_its_key_says() {
        let json = r#"{"ingest":"rackcast-ingest-m2-1","node":"m2","epoch":1800000000000,
            "sequence":1800000042,"discontinuity":12,"public":"http://10.0.0.2:8080","internal":"10.0.0.2:8080",
            "since":"2027-01-15T08:00:00Z","at":"2027-01-15T08:01:24Z"}"#;
        let good = "rackcast/streams/live/show/1800000000000";
        let (stream, place) = understood(&entry(good, json)).unwrap();
        assert_eq!(stream.to_string(), "live/show");
        assert_eq!(
            (place.epoch, place.sequence),
            (1_800_000_000_000, 1_800_000_042)
        );
        assert_eq!(key(&stream, place.epoch), good);
        assert_eq!(place.discontinuity, Some(12));
        let older = json.replace("\"discontinuity\":12,", "");
        let (_, older) = understood(&entry(good, &older)).unwrap();
        assert_eq!(older.discontinuity, None, "written by an older version");
        for (key, value) in [
            ("rackcast/streams/live/show/1800000000001", json),
            ("rackcast/streams/live/show", json),
            ("rackcast/streams/live/../1800000000000", json),
            ("rackcast/streams/1800000000000", json),
            (good, "{}"),
            (good, ""),
        ] {
            assert_eq!(understood(&entry(key, value)), None, "{key}");
        }
    }
}
