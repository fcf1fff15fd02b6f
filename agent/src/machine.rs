//! What runs on this machine, as its services say themselves: `rackcast status`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rackcast_service::status::{FetchError, ServiceStatus, fetch};

use crate::poll::sockets_in;

/// Every service of this machine with what it says, or why it says nothing.
#[derive(Debug)]
pub struct Machine(Vec<(PathBuf, Result<ServiceStatus, FetchError>)>);

impl Machine {
    /// Asks every status socket in a folder.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn ask(folder: &Path) -> io::Result<Self> {
        let sockets = sockets_in(folder)?;
        let answers = join_all(sockets.iter().map(|socket| fetch(socket))).await;
        Ok(Self(sockets.into_iter().zip(answers).collect()))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no service runs here");
        }
        writeln!(
            f,
            "{:<10} {:<16} {:<9} {:<9} HEALTH",
            "ROLE", "INSTANCE", "STATE", "VERSION"
        )?;
        for (socket, answer) in &self.0 {
            match answer {
                Ok(status) => writeln!(
                    f,
                    "{:<10} {:<16} {:<9} {:<9} {}: {}",
                    status.role.as_str(),
                    status.instance,
                    state(status),
                    status.version,
                    status.health.state,
                    status.health.summary
                )?,
                Err(error) => writeln!(f, "{}: {error}", socket.display())?,
            }
        }
        Ok(())
    }
}

fn state(status: &ServiceStatus) -> &'static str {
    match (status.draining, status.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "starting",
    }
}
