//! Whose word counts on a status socket.
//!
//! What is said there is registered in Consul under this machine's name. The folder of sockets is open to
//! every member of a group, operators among them; so a service is believed where the system says that its
//! own user listens, root, or the user of this agent. A socket that the configuration names is believed
//! whoever listens: who may write there was decided by whoever named it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use rackcast_service::status::Role;

use crate::config::{Config, Users};

/// The system is asked again who the users are at most so often, however many strangers there are.
const AGAIN: Duration = Duration::from_secs(1);

/// Who may be what.
#[derive(Debug)]
pub struct Trust {
    own: u32,
    users: Users,
    named: BTreeSet<PathBuf>,
    lookup: fn(&str) -> Option<u32>,
    known: Mutex<Known>,
}

/// What the system said of the users when it was asked last.
#[derive(Debug, Clone, Copy)]
struct Known {
    numbers: Numbers,
    asked: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    ingest: Option<u32>,
    transcode: Option<u32>,
}

impl Numbers {
    fn of(users: &Users, lookup: fn(&str) -> Option<u32>) -> Self {
        Self {
            ingest: lookup(&users.ingest),
            transcode: lookup(&users.transcode),
        }
    }
}

impl Trust {
    /// Of this configuration, with users as the system knows them now.
    pub fn new(config: &Config) -> Self {
        Self::with(config, number, Instant::now())
    }

    fn with(config: &Config, lookup: fn(&str) -> Option<u32>, now: Instant) -> Self {
        let users = config.check.users.clone();
        let numbers = Numbers::of(&users, lookup);
        Self {
            own: geteuid().as_raw(),
            users,
            named: config.service.iter().map(|s| s.socket.clone()).collect(),
            lookup,
            known: Mutex::new(Known {
                numbers,
                asked: now,
            }),
        }
    }

    /// Whether this user may be this service on this socket.
    pub fn believes(&self, socket: &Path, uid: u32, role: Role) -> bool {
        let numbers = self.known().numbers;
        let own = match role {
            Role::Ingest => numbers.ingest,
            Role::Transcode => numbers.transcode,
            Role::Agent => None,
        };
        uid == 0 || uid == self.own || own == Some(uid) || self.named.contains(socket)
    }

    /// Asks the system again, after a stranger was met: a user may have been made since, or made
    /// anew. Not within a second of the last time. Whether anybody is somebody else now.
    ///
    /// Where users are kept on the network this may take long; it holds up its caller and nobody
    /// else.
    pub async fn ask_again(self: Arc<Self>, now: Instant) -> bool {
        {
            let mut known = self.known();
            if now.saturating_duration_since(known.asked) < AGAIN {
                return false;
            }
            known.asked = now;
        }
        let asked = tokio::task::spawn_blocking(move || {
            let numbers = Numbers::of(&self.users, self.lookup);
            let before = std::mem::replace(&mut self.known().numbers, numbers);
            before != numbers
        });
        asked.await.unwrap_or_else(|error| {
            log::error!("asking who the users are failed: {error}");
            false
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user's number; nobody's, if the system knows none of this name.
fn number(name: &str) -> Option<u32> {
    let found = User::from_name(name);
    if let Err(error) = &found {
        log::warn!("the system cannot say who {name} is: {error}");
    }
    found.ok().flatten().map(|user| user.uid.as_raw())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn believes(trust: &Trust, uid: u32, role: Role) -> bool {
        trust.believes(Path::new("/run/rackcast/x.sock"), uid, role)
    }

    #[test]
    fn a_service_is_its_own_user_and_no_other() {
        let mut trust = Trust::with(
            &Config::default(),
            |name| (name == "rackcast-ingest").then_some(11),
            Instant::now(),
        );
        trust.own = 10;
        trust.named.insert(PathBuf::from("/srv/x.sock"));
        for uid in [0, 10] {
            assert!(
                believes(&trust, uid, Role::Ingest) && believes(&trust, uid, Role::Transcode),
                "{uid}"
            );
        }
        assert!(believes(&trust, 11, Role::Ingest));
        assert!(
            !believes(&trust, 11, Role::Transcode),
            "an ingest is no node"
        );
        assert!(
            !believes(&trust, 12, Role::Ingest),
            "an operator is no ingest"
        );
        assert!(trust.believes(Path::new("/srv/x.sock"), 12, Role::Transcode));
    }

    #[tokio::test]
    async fn a_user_that_is_made_later_is_found_and_one_that_is_made_anew() {
        /// The number of the transcode node's user; 0 while there is none.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let lookup = |name: &str| {
            let uid = MADE.load(Ordering::Relaxed);
            (name == "rackcast-transcode" && uid != 0).then_some(uid)
        };
        let start = Instant::now();
        let trust = Arc::new(Trust::with(&Config::default(), lookup, start));
        let again = |at| Arc::clone(&trust).ask_again(start + at);
        assert!(!again(AGAIN).await, "there is nobody yet");
        MADE.store(7000, Ordering::Relaxed);
        assert!(!again(AGAIN * 3 / 2).await, "too soon after the last time");
        assert!(!believes(&trust, 7000, Role::Transcode));
        assert!(again(AGAIN * 2).await);
        assert!(believes(&trust, 7000, Role::Transcode));
        assert!(!believes(&trust, 7000, Role::Ingest));
        MADE.store(7001, Ordering::Relaxed);
        assert!(again(AGAIN * 3).await);
        assert!(!believes(&trust, 7000, Role::Transcode), "that was before");
        assert!(believes(&trust, 7001, Role::Transcode));
    }
}
