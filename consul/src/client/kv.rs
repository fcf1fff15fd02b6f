//! Keys and values: small documents that all machines share.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Deserializer};

use super::{Client, Error, Indexed, Request};

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// What it holds.
    #[serde(default, deserialize_with = "from_base64")]
    pub value: Bytes,
    /// When it was written last; what [`Write::IfAt`] compares.
    #[serde(default)]
    pub modify_index: u64,
    /// The session that holds it: it goes with that.
    #[serde(default)]
    pub session: Option<String>,
}

/// Under what condition a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write<'a> {
    /// Only if nobody wrote it since this index; 0 means that it must not exist.
    IfAt(u64),
    /// Only if this session holds it or can take it.
    By(&'a str),
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let value = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    Ok(value.into())
}

impl Client {
    /// One key, or `None` if there is none.
    pub async fn kv_get(&self, key: &str) -> Result<Option<Entry>, Error> {
        match self.send(Request::new(Method::GET, KV, key)).await {
            Ok(answer) => Ok(answer.json::<Vec<Entry>>()?.into_iter().next()),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All keys that begin with a prefix, sorted; with an index it waits up to `wait` for any of
    /// them to change.
    ///
    /// A token that may not look is [`Error::Forbidden`]: Consul itself answers it as if there
    /// were nothing.
    pub async fn kv_list(
        &self,
        prefix: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Vec<Entry>>, Error> {
        let mut request = Request::new(Method::GET, KV, prefix).query("recurse", "true");
        if index > 0 {
            request = request.query("index", &index.to_string()).wait(wait);
        }
        let answer = self.send_any(request).await?;
        let value: Vec<Entry> = match answer.status {
            status if status.is_success() => answer.json()?,
            http::StatusCode::NOT_FOUND => Vec::new(),
            status => return Err(Error::from_answer(status, &answer.body)),
        };
        if value.is_empty() {
            // To a question for one key Consul does say that it is forbidden.
            self.kv_get(prefix).await?;
        }
        let index = answer
            .index
            .ok_or_else(|| Error::Malformed("the answer has no X-Consul-Index".to_owned()))?;
        Ok(Indexed { index, value })
    }

    /// Writes a key if the condition holds; false if it does not, and nothing was written.
    pub async fn kv_put(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        write: Write<'_>,
    ) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, KV, key);
        let mut request = match write {
            Write::IfAt(index) => request.query("cas", &index.to_string()),
            Write::By(session) => request.query("acquire", session),
        };
        request.body = Some(value.into());
        self.send(request).await?.json()
    }

    /// Removes a key, if nobody wrote it since this index; false if somebody did. One that does
    /// not exist is removed already.
    pub async fn kv_delete(&self, key: &str, if_at: u64) -> Result<bool, Error> {
        let request = Request::new(Method::DELETE, KV, key).query("cas", &if_at.to_string());
        self.send(request).await?.json()
    }
}

const KV: &str = "/v1/kv/";
