//! Holds the listeners and the watchdog; starts generations.
//!
//! The supervisor does no work that could fail: it binds, hands the listening sockets to a
//! [`generation`](crate::generation) and watches it. A generation that dies or stands still is
//! replaced; connections wait in the listeners' backlogs meanwhile, so nobody is refused. The
//! listeners outlive every generation, which is what lets a new one take over from an old.
//!
//! | Module | What |
//! |---|---|
//! | [`set`] | the policy, pure: who serves, who retires, who is to end and when |
//! | `held` | what a supervisor holds, and what it says of it |
//! | `run`, `carry` | the loop, and what it does for the policy |
//! | `upgrade` | reload and hand-over |
//! | `member` | one generation: its process, its control socket, its sockets for the others |
//! | `binary`, `resume` | the program on disk, and how it goes on where the running one is |
//! | [`control`] | what supervisor and generations say to each other |
//!
//! It is one task. What it waits for: a generation's report, a signal, the clock, the answer of a
//! program that was asked whether it can take over.

mod binary;
mod carry;
mod config;
pub mod control;
mod held;
mod listeners;
mod member;
mod resume;
mod run;
pub mod set;
pub mod status;
#[cfg(test)]
mod tests;
mod upgrade;

pub use config::Config;
pub use listeners::{BindError, Listeners};
pub use resume::{ResumeError, can_resume};
pub use run::{Error, run};
