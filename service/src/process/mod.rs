//! Child processes: started with what they need, gone when their parent is gone.
//!
//! A supervisor keeps its workers apart so that a crash, a hang or a poisoned input takes one
//! of them and nothing else. Three things go wrong with children in practice, and each has its
//! answer here:
//!
//! - **Orphans.** A parent that is killed cannot clean up. Every child of a [`Command`] asks the
//!   kernel for `SIGKILL` at its parent's death (`PR_SET_PDEATHSIG`) and then looks once whether
//!   that parent is still there, since it may have died in between.
//! - **Lost file descriptors.** Sockets are handed over by name ([`Command::fd`], [`inherited`])
//!   and keep their number; nothing else crosses `exec`.
//! - **Signals meant for another.** Each child leads its own process group, so that Ctrl-C in a
//!   terminal reaches the parent alone, which then ends its children in order.
//!
//! # The thread that forks
//! "Parent" in `PR_SET_PDEATHSIG` means the *thread* that forked: when it ends, the child is
//! killed, though the process lives. Threads of tokio's blocking pool end when idle, so a child
//! started from `spawn_blocking` or `block_in_place` would die after some seconds. [`Command::spawn`]
//! therefore always forks on one thread of its own, which lives as long as the process, and may be
//! called from anywhere within a tokio runtime.

mod child;
mod command;
mod forker;
mod inherit;
mod memory;
mod replace;

pub use crate::backoff::Backoff;
pub use child::Child;
pub use command::{Command, OWN_PROGRAM, RESUME_VARIABLE};
pub use inherit::{InheritError, inherited, inherited_stream};
pub use memory::memory_file;
pub use nix::sys::resource::Resource;
pub use nix::sys::signal::Signal;
pub use replace::replace_program;

/// Says what this process is called in lists of processes; the kernel keeps 15 bytes.
///
/// # Errors
/// The name has a zero byte, or the kernel refuses.
pub fn be_called(name: &str) -> std::io::Result<()> {
    let name = std::ffi::CString::new(name)?;
    Ok(nix::sys::prctl::set_name(&name)?)
}
