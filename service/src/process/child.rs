//! A child that runs.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

/// A process started by [`Command::spawn`](super::Command::spawn). Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    child: tokio::process::Child,
}

impl Child {
    pub(super) fn new(child: tokio::process::Child) -> Self {
        Self { child }
    }

    /// The process id, while the process has not been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The child's standard input, if it is piped and was not taken before.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The child's standard output, if it is piped and was not taken before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The child's standard error, if it is piped and was not taken before.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits until the process ends. May be dropped and called again.
    ///
    /// # Errors
    /// The system cannot say how it ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal to the process. A process that has been waited for gets none, so that a
    /// reused process id is never hit.
    ///
    /// # Errors
    /// The process may not be signalled.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.pid() {
            Some(pid) => Ok(kill(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Kills the process and every process of its group, at once.
    ///
    /// # Errors
    /// The processes may not be signalled.
    pub fn kill(&mut self) -> io::Result<()> {
        match self.pid() {
            Some(pid) => match killpg(pid, Signal::SIGKILL) {
                // It has ended, and waits to be waited for.
                Err(Errno::ESRCH) => Ok(()),
                result => Ok(result?),
            },
            None => Ok(()),
        }
    }

    /// Ends the process: SIGTERM, then SIGKILL to its whole group once `grace` is over.
    ///
    /// # Errors
    /// The process may not be signalled, or the system cannot say how it ended.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        if let Ok(ended) = tokio::time::timeout(grace, self.wait()).await {
            return ended;
        }
        self.kill()?;
        self.wait().await
    }

    fn pid(&self) -> Option<Pid> {
        self.id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
    }
}
