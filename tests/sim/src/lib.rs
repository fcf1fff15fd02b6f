//! A simulator for routing: discrete events on virtual time.
//!
//! **Why.** Whether a policy holds when half a fleet fails cannot be seen from its parts, and
//! real machines do not fail twice alike. Here thousands of segments a second meet nodes that
//! queue, refuse, slow down, lie and vanish by a schedule; the policy that decides is the one
//! that runs in production, driven by the same calls; and beside it the same world, to the last
//! segment's difficulty, is given to simpler policies and to one that knows everything.
//!
//! **How.** A [`Scenario`] is a TOML file. [`simulate`] runs it for some seeds and every
//! [`Name`], and compares the figures with what the file expects. `docs/simulate.md` defines
//! the figures; `docs/decisions/` says what the simulated world leaves out.

mod engine;
mod measure;
mod noise;
mod policy;
mod queue;
mod report;
mod scenario;
mod study;
mod time;
mod world;

pub use policy::Name;
pub use report::{plots, table};
pub use scenario::{Error, Figure, Scenario};
pub use study::{Study, Told, simulate, stories};
