//! Another program in the same process.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::command::describe;
use super::forker::on_forker;
use super::inherit::FDS_VARIABLE;

/// Signals that mean something to a daemon and would end a program that does not listen yet. What
/// is ignored stays ignored until the new program listens.
const HELD_OFF: [Signal; 2] = [Signal::SIGHUP, Signal::SIGUSR2];

/// Runs `program` in this process, in place of the one that runs: it has the same process id, the
/// same children, and of the file descriptors those that are handed over by name. Returns only if
/// that fails, and then nothing has changed.
///
/// Children live on: the kernel kills them when the thread that started them ends, so it is that
/// thread which becomes the new program. The new program must [adopt](super::Child::adopt) them.
pub fn replace_program(
    program: &Path,
    arguments: &[&OsStr],
    variables: &[(&str, &str)],
    fds: Vec<(String, OwnedFd)>,
) -> io::Error {
    let described = match describe(&fds) {
        Ok(described) => described,
        Err(e) => return e,
    };
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .env(FDS_VARIABLE, described);
    let replaced = on_forker(move || {
        // No other child is started meanwhile: this is the thread that starts them.
        let open = |flags| {
            fds.iter()
                .try_for_each(|(_, fd)| fcntl(fd, FcntlArg::F_SETFD(flags)).map(drop))
        };
        open(FdFlag::empty())?;
        let held_off = hold_off();
        let error = command.exec();
        for (signal, action) in held_off {
            let _ = set(signal, &action);
        }
        let _ = open(FdFlag::FD_CLOEXEC);
        let numbers: Vec<_> = fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        log::debug!("the descriptors {numbers:?} stay here");
        Err::<(), _>(error)
    });
    replaced
        .err()
        .unwrap_or_else(|| io::Error::other("nothing happened"))
}

/// Ignores signals; gives what was done with them before.
fn hold_off() -> Vec<(Signal, SigAction)> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let held = HELD_OFF.iter();
    held.filter_map(|signal| Some((*signal, set(*signal, &ignore).ok()?)))
        .collect()
}

fn set(signal: Signal, action: &SigAction) -> nix::Result<SigAction> {
    // SAFETY: either no handler is installed, or the one that was there before.
    #[allow(unsafe_code)]
    unsafe {
        sigaction(signal, action)
    }
}
