//! `/v1/kv`: keys and values with check-and-set.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::blocking;
use super::entry::Indexed;
use super::http::{Ask, Reply};
use super::keys::{Entry, Kv};
use super::shared::Shared;
use super::store::Store;

/// Answers one request for a key, or for all that begin with it.
pub(super) async fn answer(shared: &Shared, ask: &mut Ask, key: &str) -> Result<Reply, Reply> {
    match ask.method {
        Method::GET => get(shared, ask, key).await,
        Method::PUT => put(shared, ask, key).await,
        _ => delete(shared, ask, key),
    }
}

async fn get(shared: &Shared, ask: &Ask, key: &str) -> Result<Reply, Reply> {
    let (recurse, keys, raw) = (ask.flag("recurse")?, ask.flag("keys")?, ask.flag("raw")?);
    if recurse || keys {
        let separator = ask.query("separator").unwrap_or_default();
        return blocking::answer(
            shared,
            ask,
            |store| store.kv.index_under(key),
            |store| {
                let found: Vec<Value> = match keys {
                    true => names(&store.kv, key, separator)
                        .into_iter()
                        .map(Value::from)
                        .collect(),
                    false => store
                        .kv
                        .under(key)
                        .map(|(key, entry)| entry_json(key, entry))
                        .collect(),
                };
                found_or_404(found)
            },
        )
        .await;
    }
    if key.is_empty() {
        return Err(Reply::text(StatusCode::BAD_REQUEST, "Missing key name"));
    }
    let read = |store: &Store| match store.kv.entries.get(key) {
        Some(entry) if raw => Reply::raw(entry.value.value.clone()),
        Some(entry) => Reply::json(&json!([entry_json(key, entry)])),
        None => Reply::empty(StatusCode::NOT_FOUND),
    };
    blocking::answer(shared, ask, |store| store.kv.index_of(key), read).await
}

async fn put(shared: &Shared, ask: &mut Ask, key: &str) -> Result<Reply, Reply> {
    if key.is_empty() {
        return Err(Reply::text(StatusCode::BAD_REQUEST, "Missing key name"));
    }
    let cas = number(ask, "cas")?;
    let flags = number(ask, "flags")?.unwrap_or_default();
    let acquire = ask.query("acquire").map(str::to_owned);
    let value = ask.body(shared.limits.kv_value_bytes).await?;
    let limit = shared.limits.kv_bytes;
    shared.write(|store| {
        let before = store.kv.entries.get(key);
        if cas.is_some_and(|cas| cas != before.map_or(0, |entry| entry.modified)) {
            return Ok(Reply::json(&json!(false)));
        }
        let mut session = before.and_then(|entry| entry.value.session.clone());
        let mut locks = before.map_or(0, |entry| entry.value.locks);
        if let Some(acquire) = acquire {
            if !store.sessions.contains_key(&acquire) {
                let text = format!("invalid session \"{acquire}\"");
                return Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
            }
            match &session {
                Some(holder) if *holder != acquire => return Ok(Reply::json(&json!(false))),
                Some(_) => {}
                None => locks += 1,
            }
            session = Some(acquire);
        }
        let old = before.map_or(0, |entry| key.len() + entry.value.value.len());
        let bytes = store.kv.bytes - old + key.len() + value.len();
        if bytes > limit {
            let text =
                format!("the development catalog holds at most {limit} bytes of keys and values");
            return Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        let same = |e: &Entry| e.value == value && e.flags == flags && e.session == session;
        if before.is_some_and(|entry| same(&entry.value)) {
            return Ok(Reply::json(&json!(true)));
        }
        let created = before.map(|entry| entry.created);
        let index = store.advance();
        store.kv.bytes = bytes;
        store.kv.changed = index;
        let entry = Entry {
            value,
            flags,
            session,
            locks,
        };
        let created = created.unwrap_or(index);
        store.kv.entries.insert(
            key.to_owned(),
            Indexed {
                value: entry,
                created,
                modified: index,
            },
        );
        Ok(Reply::json(&json!(true)))
    })
}

fn delete(shared: &Shared, ask: &Ask, key: &str) -> Result<Reply, Reply> {
    let recurse = ask.flag("recurse")?;
    if key.is_empty() && !recurse {
        return Err(Reply::text(StatusCode::BAD_REQUEST, "Missing key name"));
    }
    let cas = number(ask, "cas")?;
    let done = shared.write(|store| {
        if let Some(cas) = cas
            && (cas == 0 || cas != store.kv.entries.get(key).map_or(0, |entry| entry.modified))
        {
            return false;
        }
        let doomed: Vec<String> = match recurse {
            true => store.kv.under(key).map(|(key, _)| key.clone()).collect(),
            false => vec![key.to_owned()],
        };
        for key in doomed {
            if store.kv.entries.contains_key(&key) {
                let index = store.advance();
                store.kv.remove(&key, index);
            }
        }
        true
    });
    Ok(Reply::json(&json!(done)))
}

fn number(ask: &Ask, key: &str) -> Result<Option<u64>, Reply> {
    let Some(text) = ask.query(key) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let text = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
        Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
    })
}

/// Keys under a prefix, cut after the first separator behind it.
fn names(kv: &Kv, prefix: &str, separator: &str) -> BTreeSet<String> {
    kv.under(prefix)
        .map(|(key, _)| {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            match rest.find(separator) {
                Some(at) if !separator.is_empty() => {
                    let end = prefix.len() + at + separator.len();
                    key.get(..end).unwrap_or(key).to_owned()
                }
                _ => key.clone(),
            }
        })
        .collect()
}

fn found_or_404(found: Vec<Value>) -> Reply {
    match found.is_empty() {
        true => Reply::empty(StatusCode::NOT_FOUND),
        false => Reply::json(&Value::from(found)),
    }
}

fn entry_json(key: &str, entry: &Indexed<Entry>) -> Value {
    let value = &entry.value.value;
    let mut json = json!({
        "LockIndex": entry.value.locks,
        "Key": key,
        "Flags": entry.value.flags,
        "Value": (!value.is_empty()).then(|| STANDARD.encode(value)),
        "CreateIndex": entry.created,
        "ModifyIndex": entry.modified,
    });
    if let (Some(session), Some(fields)) = (&entry.value.session, json.as_object_mut()) {
        fields.insert("Session".to_owned(), session.as_str().into());
    }
    json
}
