//! What this machine was last told to do, kept over restarts and reboots.
//!
//! Whoever may tell it (the control socket, Consul's KV) gives an [`Order`] to [`Orders`]; of two
//! the later one holds. An order stands on the disk before it takes effect, and then beside the
//! status sockets, where the services find it ([`rackcast_service::drain`]). The agent puts it
//! there again whenever it is missing, so that a reboot, which empties `/run`, changes nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rackcast_service::drain::{self, Order};
use tokio::sync::{Mutex, watch};

/// Why an order was not taken; a later try may succeed.
#[derive(Debug, thiserror::Error)]
#[error("the order cannot be kept in {}: {source}", file.display())]
pub struct OrderError {
    file: PathBuf,
    source: io::Error,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It holds now.
    Taken,
    /// One that was given later holds.
    Outdated,
}

/// The machine's orders; clones are the same.
#[derive(Debug, Clone)]
pub struct Orders {
    file: PathBuf,
    current: watch::Sender<Order>,
    /// One is written at a time.
    writing: Arc<Mutex<()>>,
}

impl Orders {
    /// The orders that are kept in a folder, which is made if it is missing.
    ///
    /// A file that cannot be understood is set aside, and the machine works: one spoiled file must
    /// not take machines out of service.
    ///
    /// # Errors
    /// The folder cannot be made, or the file not be read.
    pub fn open(folder: &Path) -> Result<Self, OrderError> {
        let file = folder.join(drain::FILE);
        let failed = |source| OrderError {
            file: file.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let order = match drain::read(&file) {
            Ok(order) => order,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(failed(error));
            }
            Err(error) => {
                let aside = file.with_extension("json.broken");
                log::error!(
                    "{} is no order ({error}) and is set aside as {}: the machine works; drain it \
                     again if it should not",
                    file.display(),
                    aside.display()
                );
                std::fs::rename(&file, aside).map_err(failed)?;
                Order::default()
            }
        };
        if order.is_drain() {
            log::warn!(rackcast_reason = "drain"; "this machine is {order}");
        }
        Ok(Self {
            file,
            current: watch::Sender::new(order),
            writing: Arc::default(),
        })
    }

    /// The order that holds, and those that follow.
    pub fn subscribe(&self) -> watch::Receiver<Order> {
        self.current.subscribe()
    }

    /// Gives an order. It has taken effect once this returns, but for the services, which follow
    /// within moments.
    ///
    /// # Errors
    /// It cannot be kept, and does not hold.
    pub async fn give(&self, order: Order) -> Result<Given, OrderError> {
        let _one = self.writing.lock().await;
        if order.at_ms < self.current.borrow().at_ms {
            return Ok(Given::Outdated);
        }
        let (file, kept) = (self.file.clone(), order.clone());
        let written = tokio::task::spawn_blocking(move || drain::write(&file, &kept)).await;
        written
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(|source| OrderError {
                file: self.file.clone(),
                source,
            })?;
        match order.is_drain() {
            true => log::warn!(rackcast_reason = "drain"; "this machine is {order}"),
            false => log::info!(rackcast_reason = "resume"; "this machine is {order}"),
        }
        self.current.send_replace(order);
        Ok(Given::Taken)
    }
}

/// Where services look for the order: a file in each folder that holds a status socket.
#[derive(Debug)]
pub(crate) struct Notice {
    files: BTreeSet<PathBuf>,
    failed: Option<String>,
}

impl Notice {
    /// For the services with these sockets, and those whose sockets stand in `folder`.
    pub(crate) fn new<'a>(folder: &Path, sockets: impl Iterator<Item = &'a Path>) -> Self {
        let mut files: BTreeSet<PathBuf> = sockets.map(drain::file_beside).collect();
        files.insert(folder.join(drain::FILE));
        Self {
            files,
            failed: None,
        }
    }

    /// Makes the files say what holds. Says what keeps one from it, while something does.
    ///
    /// This is a few small reads of a memory file system, and no task of its own.
    pub(crate) fn post(&mut self, order: &Order) -> Option<&str> {
        let mut failed = None;
        for file in &self.files {
            let posted = match drain::read(file) {
                Ok(there) if there == *order => Ok(()),
                // A folder of services that do not run yet.
                _ if !file.parent().is_some_and(Path::exists) => Ok(()),
                _ => drain::write(file, order),
            };
            if let Err(error) = posted {
                failed = Some(format!(
                    "services cannot be told to drain or resume: {}: {error}",
                    file.display()
                ));
            }
        }
        if let Some(why) = failed.as_ref().filter(|_| failed != self.failed) {
            log::error!("{why}");
        }
        self.failed = failed;
        self.failed.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rackcast_service::drain::Terms;

    use super::*;

    fn order(by: &str, seconds: u64, drains: bool) -> Order {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Order::new(by, drains.then(Terms::default), at)
    }

    #[tokio::test]
    async fn the_later_order_holds_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let orders = Orders::open(&state).unwrap();
        let held = orders.subscribe();
        assert_eq!(*held.borrow(), Order::default());
        let given = orders.give(order("alice", 10, true)).await.unwrap();
        assert_eq!(given, Given::Taken);
        let late = orders.give(order("kv", 9, false)).await.unwrap();
        assert_eq!(late, Given::Outdated);
        assert_eq!(*held.borrow(), order("alice", 10, true));

        let again = Orders::open(&state).unwrap();
        assert_eq!(*again.subscribe().borrow(), order("alice", 10, true));
        again.give(order("bob", 11, false)).await.unwrap();
        let third = Orders::open(&state).unwrap();
        assert_eq!(*third.subscribe().borrow(), order("bob", 11, false));
    }

    #[tokio::test]
    async fn a_spoiled_file_is_set_aside_and_one_that_cannot_be_kept_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(drain::FILE);
        std::fs::write(&file, "{\"by\": 7").unwrap();
        let orders = Orders::open(folder.path()).unwrap();
        assert!(!orders.subscribe().borrow().is_drain());
        assert!(folder.path().join("drain.json.broken").exists());

        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(orders.give(order("alice", 1, true)).await.is_err());
        assert!(!orders.subscribe().borrow().is_drain());
    }

    #[test]
    fn the_notice_is_put_up_again_wherever_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let socket = other.join("transcode.sock");
        let absent = Path::new("/nowhere/at/all.sock");
        let mut notice = Notice::new(folder.path(), [socket.as_path(), absent].into_iter());
        let drains = order("alice", 1, true);
        for _ in 0..2 {
            assert_eq!(notice.post(&drains), None);
            for file in [folder.path().join(drain::FILE), drain::file_beside(&socket)] {
                assert_eq!(drain::read(&file).unwrap(), drains);
                std::fs::remove_file(file).unwrap();
            }
        }
        // A folder in the file's place cannot be replaced.
        std::fs::create_dir(other.join(drain::FILE)).unwrap();
        assert!(notice.post(&drains).unwrap().contains("other"));
    }
}
