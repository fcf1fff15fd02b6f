//! A configuration that changes while the daemon runs.
//!
//! `systemctl reload` sends SIGHUP. The file is read anew and checked as a whole, every part of
//! the daemon is asked whether it can take what is new, and only if all can, all do: there is no
//! half of a configuration, and one that is refused changes nothing. What a running process
//! cannot change is named in the log, with what it waits for, and stays as it was.
//!
//! ```text
//! SIGHUP ─▶ file ──┐
//!                  ├─▶ merge ─▶ parse, check ─▶ every part prepares ─▶ every part commits
//! fleet's settings ┘                 └─ refused: nothing has changed ─┘
//! ```
//!
//! [`Live`] is that path; a daemon registers its parts with it and says with [`Rules`] which keys
//! take effect when; what waits is [known](Live::waiting) until it is in force. Whoever has another source of settings than the file
//! [layers](Live::layer) it over the file: both come down the same path.

mod change;
mod commit;
mod hangup;
mod live;
mod metrics;
#[cfg(test)]
mod tests;

pub use change::{Rules, Takes, Waiting, changed, merge};
pub use commit::{Commit, commit};
pub use hangup::{Hangups, tell};
pub use live::{Live, Outcome, Part, Refused};
pub use metrics::Metrics;
