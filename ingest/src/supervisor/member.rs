//! One generation, as the supervisor holds it: a process, its control socket, and where the others
//! find it.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rackcast_service::frame::{FrameError, Framed};
use rackcast_service::process::{Child, Command, OWN_PROGRAM, memory_file};
use rackcast_service::reload::Waiting;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Listeners;
use super::binary::Binary;
use super::control::{CONFIG_FD, CONTROL_FD, INSIDE_FD, Order, PUBLISH_FD, Peer, Report};

/// How long a generation may take to take an order from its socket: it reads all the time.
const HANDED_OVER: Duration = Duration::from_secs(2);

/// Where the sockets between generations lie.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Beside the status socket.
    pub(super) fn beside(status_socket: &Path) -> Self {
        Self(status_socket.with_extension("generations"))
    }

    pub(super) fn peer(&self, generation: u64) -> Peer {
        Peer {
            generation,
            inside: self.0.join(format!("{generation}.inside")),
            publish: self.0.join(format!("{generation}.publish")),
        }
    }

    /// Makes it, for this user alone.
    pub(super) fn create(&self) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
    }

    /// Removes it with whatever is left in it.
    pub(super) fn remove(&self) {
        if let Err(e) = fs::remove_dir_all(&self.0)
            && e.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{} could not be removed: {e}", self.0.display());
        }
    }
}

/// A generation that runs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) peer: Peer,
    pub(super) child: Child,
    pub(super) control: Framed,
    /// What it was started from.
    pub(super) binary: Binary,
    /// What it said last.
    pub(super) report: Option<Report>,
    /// The keys that it was told wait here.
    pub(super) waiting: Waiting,
}

/// How a generation ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("it exited with {0}")]
    Exited(String),
    #[error("its control socket failed: {0}")]
    Control(#[from] FrameError),
}

impl Member {
    /// Starts a generation of this very program, whatever an upgrade has put in its place, to work
    /// by this text of the configuration file.
    pub(super) fn start(
        number: u64,
        peer: Peer,
        listeners: &Listeners,
        config_file: &Path,
        text: &str,
    ) -> io::Result<Self> {
        let binary = Binary::own()?;
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let command = Command::new(OWN_PROGRAM)
            .arg("--config")
            .arg(config_file)
            .arg("generation")
            .arg(number.to_string())
            .fd(CONTROL_FD, theirs)
            .fd(CONFIG_FD, memory_file("config", text.as_bytes())?)
            .fd(INSIDE_FD, bind(&peer.inside)?)
            .fd(PUBLISH_FD, bind(&peer.publish)?);
        let child = listeners.give(command)?.spawn()?;
        Ok(Self {
            number,
            peer,
            child,
            control: Framed::new(UnixStream::from_std(ours)?),
            binary,
            report: None,
            waiting: Waiting::new(),
        })
    }

    /// Waits for what it says next. May be cancelled.
    pub(super) async fn hear(&mut self) -> Result<Report, Ended> {
        match self.control.recv::<Report>().await {
            Ok(Some((report, _))) => Ok(report),
            // It is exiting: how, `wait` says.
            Ok(None) => Err(Ended::Exited(match self.child.wait().await {
                Ok(status) => status.to_string(),
                Err(e) => e.to_string(),
            })),
            Err(e) => Err(e.into()),
        }
    }

    /// Gives it an order; one that does not take it will be found silent.
    pub(super) async fn order(&mut self, order: &Order, payload: Bytes) {
        let sent = timeout(HANDED_OVER, self.control.send(order, payload)).await;
        let failed = match sent {
            Ok(Ok(())) => return,
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("it did not take it within {HANDED_OVER:?}"),
        };
        log::warn!(
            rackcast_generation = self.number;
            "generation {} could not be told {order:?}: {failed}", self.number
        );
    }

    /// Kills it, with whatever it started.
    pub(super) async fn kill(&mut self) {
        if let Err(e) = self.child.kill() {
            log::error!("generation {} could not be killed: {e}", self.number);
        }
        let _ = self.child.wait().await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for socket in [&self.peer.inside, &self.peer.publish] {
            // Another one of this number cannot be there.
            let _ = fs::remove_file(socket);
        }
    }
}

/// A socket at this path, whatever an earlier life left there.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Err(e) = fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(e);
    }
    UnixListener::bind(path)
}
