//! What an operator sets once for the whole fleet, in Consul's KV under [`PREFIX`].
//!
//! A setting is a key of a daemon's own configuration, such as `ingest.stream.ladder`, whose value
//! is laid over the file of every daemon of that role. Only what is listed in [`list`] can be set:
//! nothing that belongs to one machine (addresses, paths, names) is there.
//!
//! - [`value`]: what a setting may hold; the same code looks before it is written and before it is
//!   applied. Pure.
//! - [`document`]: what stands under its key: the value, who set it when and why, and what it was
//!   before. Pure.
//! - [`store`]: reads and writes documents; check-and-set, so that two who write at once lose
//!   nothing.
//! - [`layer`](mod@layer): the layer that all of them are over a daemon's file; leaves out what is
//!   bad. Pure.
//! - [`follow`](mod@follow): watches them for a daemon, puts the layer in force, and says how that
//!   stands.
//! - [`saved`]: the last that was in force, on disk, for a start without Consul.

pub mod document;
pub mod follow;
pub mod layer;
pub mod list;
pub mod saved;
pub mod store;
pub mod value;

pub use document::{Author, Change, Document};
pub use follow::{Metrics, Standing, follow};
pub use layer::Values;
pub use list::{SETTINGS, Setting, find};
pub use value::{Invalid, Kind};

/// Keys of settings begin with this.
pub const PREFIX: &str = "rackcast/settings/";
