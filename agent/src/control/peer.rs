//! Who is at the other end of the control socket.

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;
use tokio::net::unix::UCred;

/// The peer of a connection as the system knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(Option<UCred>);

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self(stream.peer_cred().ok())
    }

    /// A name for the order and the log. What `sudo` says counts if it is root who says it.
    pub(super) fn name(self, sudo_user: Option<&str>) -> String {
        let Some(credentials) = self.0 else {
            return "somebody (the system cannot say who)".to_owned();
        };
        let uid = Uid::from_raw(credentials.uid());
        let sudo_user = sudo_user.filter(|user| uid.is_root() && !user.is_empty());
        // A user whom the system does not know has a number all the same.
        match (sudo_user, User::from_uid(uid).ok().flatten()) {
            (Some(user), _) => format!("{user} (as root)"),
            (None, Some(user)) => user.name,
            (None, None) => format!("uid {uid}"),
        }
    }

    pub(super) fn pid(self) -> Option<i32> {
        self.0.and_then(|credentials| credentials.pid())
    }
}
