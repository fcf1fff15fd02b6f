//! Keys and their values, and when each changed last.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::entry::Indexed;

#[derive(Default)]
pub(super) struct Kv {
    pub(super) entries: BTreeMap<String, Indexed<Entry>>,
    pub(super) bytes: usize,
    pub(super) changed: u64,
    /// Last removal anywhere: what a prefix lost is not remembered key by key, so a removal
    /// wakes who waits for any prefix, which Consul allows.
    removed: u64,
}

pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) flags: u64,
    /// The session that holds it.
    pub(super) session: Option<String>,
    /// How often it was taken.
    pub(super) locks: u64,
}

impl Kv {
    pub(super) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Indexed<Entry>)> {
        self.entries
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// The keys that a session holds.
    pub(super) fn held_by(&self, session: &str) -> Vec<String> {
        let held = self.entries.iter();
        held.filter(|(_, entry)| entry.value.session.as_deref() == Some(session))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// A session that held this key is over.
    pub(super) fn let_go(&mut self, key: &str, index: u64, delete: bool) {
        self.changed = index;
        if delete {
            self.remove(key, index);
        } else if let Some(entry) = self.entries.get_mut(key) {
            entry.value.session = None;
            entry.modified = index;
        }
    }

    pub(super) fn remove(&mut self, key: &str, index: u64) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= key.len() + entry.value.value.len();
            self.changed = index;
            self.removed = index;
        }
    }

    pub(super) fn index_of(&self, key: &str) -> u64 {
        self.entries
            .get(key)
            .map_or(self.changed, |entry| entry.modified)
    }

    pub(super) fn index_under(&self, prefix: &str) -> u64 {
        let newest = self.under(prefix).map(|(_, entry)| entry.modified).max();
        newest.map_or(self.changed, |newest| newest.max(self.removed))
    }
}
