//! Holds the listeners and the watchdog; starts generations.
//!
//! The supervisor does no work that could fail: it binds, hands the listening sockets to a
//! [`generation`](crate::generation) and watches it. A generation that dies or stands still is
//! replaced; connections wait in the listeners' backlogs meanwhile, so nobody is refused. The
//! listeners outlive every generation, which is what lets a new one take over from an old.
//!
//! Channels: one [`control`] socket to the generation (its status in, `stop` out), one watch
//! channel with the newest status, read by the status socket and the systemd watchdog.

mod config;
pub mod control;
mod listeners;
mod run;
pub mod status;

pub use config::Config;
pub use listeners::{BindError, Listeners};
pub use run::{Error, run};
