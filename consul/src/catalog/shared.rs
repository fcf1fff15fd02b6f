//! The store as connections and check tasks share it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Limits;
use super::store::Store;

/// The store as connections and check tasks share it.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) limits: Limits,
    store: Mutex<Store>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, limits: Limits) -> Arc<Self> {
        let store = Store::new();
        let changes = watch::Sender::new(store.index());
        Arc::new(Self {
            address,
            limits,
            store: Mutex::new(store),
            changes,
        })
    }

    /// Wakes with every visible change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store and wakes whoever waits if that was visible.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.read();
        let before = store.index();
        let result = change(&mut store);
        let after = store.index();
        drop(store);
        if after != before {
            self.changes.send_replace(after);
        }
        result
    }
}
