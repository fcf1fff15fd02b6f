//! Whose word counts on a status socket.
//!
//! What is said there is registered in Consul under this machine's name. The folder of sockets is open to
//! every member of a group, operators among them; so a service is believed where the system says that its
//! own user listens, root, or the user of this agent. A socket that the configuration names is believed
//! whoever listens: who may write there was decided by whoever named it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use rackcast_service::status::Role;

use crate::config::Config;

/// Who may be what.
#[derive(Debug, Clone)]
pub struct Trust {
    own: u32,
    ingest: Option<u32>,
    transcode: Option<u32>,
    named: BTreeSet<PathBuf>,
}

impl Trust {
    /// Of this configuration, with users as the system knows them now.
    pub fn new(config: &Config) -> Self {
        let users = &config.check.users;
        Self {
            own: geteuid().as_raw(),
            ingest: number(&users.ingest),
            transcode: number(&users.transcode),
            named: config.service.iter().map(|s| s.socket.clone()).collect(),
        }
    }

    /// Whether this user may be this service on this socket.
    pub fn believes(&self, socket: &Path, uid: u32, role: Role) -> bool {
        let own = match role {
            Role::Ingest => self.ingest,
            Role::Transcode => self.transcode,
            Role::Agent => None,
        };
        uid == 0 || uid == self.own || own == Some(uid) || self.named.contains(socket)
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
    use super::*;

    #[test]
    fn a_service_is_its_own_user_and_no_other() {
        let trust = Trust {
            own: 10,
            ingest: Some(11),
            transcode: None,
            named: BTreeSet::from([PathBuf::from("/srv/x.sock")]),
        };
        let believes = |uid, role| trust.believes(Path::new("/run/rackcast/x.sock"), uid, role);
        for uid in [0, 10] {
            assert!(
                believes(uid, Role::Ingest) && believes(uid, Role::Transcode),
                "{uid}"
            );
        }
        assert!(believes(11, Role::Ingest));
        assert!(!believes(11, Role::Transcode), "an ingest is no node");
        assert!(!believes(12, Role::Ingest), "an operator is no ingest");
        assert!(trust.believes(Path::new("/srv/x.sock"), 12, Role::Transcode));
    }
}
