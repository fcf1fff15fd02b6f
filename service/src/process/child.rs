//! A child that runs.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::signal::unix::{SignalKind, signal};

/// A process started by [`Command::spawn`](super::Command::spawn). Dropping it kills it.
#[derive(Debug)]
pub struct Child(Kind);

#[derive(Debug)]
enum Kind {
    Started(Box<tokio::process::Child>),
    /// By an earlier program of this process.
    Adopted(Adopted),
}

impl Child {
    pub(super) fn new(child: tokio::process::Child) -> Self {
        Self(Kind::Started(Box::new(child)))
    }

    /// A child that this process started when it ran another program: see
    /// [`replace_program`](super::replace_program).
    ///
    /// # Errors
    /// This is no child of this process.
    pub fn adopt(id: u32) -> io::Result<Self> {
        let pid = i32::try_from(id).map_err(io::Error::other)?;
        let mut adopted = Adopted {
            pid: Pid::from_raw(pid),
            ended: None,
        };
        adopted.look()?;
        Ok(Self(Kind::Adopted(adopted)))
    }

    /// The process id, while the process has not been waited for.
    pub fn id(&self) -> Option<u32> {
        match &self.0 {
            Kind::Started(child) => child.id(),
            Kind::Adopted(child) => match child.ended {
                None => u32::try_from(child.pid.as_raw()).ok(),
                Some(_) => None,
            },
        }
    }

    /// The child's standard input, if it is piped and was not taken before.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.started()?.stdin.take()
    }

    /// The child's standard output, if it is piped and was not taken before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.started()?.stdout.take()
    }

    /// The child's standard error, if it is piped and was not taken before.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.started()?.stderr.take()
    }

    fn started(&mut self) -> Option<&mut tokio::process::Child> {
        match &mut self.0 {
            Kind::Started(child) => Some(child),
            Kind::Adopted(_) => None,
        }
    }

    /// Waits until the process ends. May be dropped and called again.
    ///
    /// # Errors
    /// The system cannot say how it ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.0 {
            Kind::Started(child) => child.wait().await,
            Kind::Adopted(child) => child.wait().await,
        }
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.0 {
            Kind::Started(child) => child.try_wait(),
            Kind::Adopted(child) => child.look(),
        }
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

/// A child that another program of this process started.
#[derive(Debug)]
struct Adopted {
    pid: Pid,
    ended: Option<ExitStatus>,
}

impl Adopted {
    /// How it ended, or `None` while it runs.
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw(code << 8)),
                WaitStatus::Signaled(_, by, _) => Some(ExitStatus::from_raw(by as i32)),
                _ => None,
            };
        }
        Ok(self.ended)
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut deaths = signal(SignalKind::child())?;
        loop {
            if let Some(ended) = self.look()? {
                return Ok(ended);
            }
            deaths.recv().await;
        }
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        if matches!(self.look(), Ok(None)) {
            // It cannot be waited for here; that it is a zombie until this process ends is harmless.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}
