//! Everything that Rackcast says to Consul or hears from it.
//!
//! - [`client`]: a thin, typed client of the agent's HTTP API, with deadlines that hold.
//! - [`register`]: what a service says of itself, in the set of fields that every version
//!   since 1.8 accepts.
//! - [`reconcile`]: keeps a machine's registrations true whatever happens to the agent.
//! - [`settings`]: what is set once for the whole fleet, in KV.
//! - [`directory`]: which ingest has which stream.
//! - [`orders`]: to a machine, to drain or to resume.
//! - [`watch`]: follows the healthy instances of a service, and says how sure it is.
//! - [`artefacts`]: the ACL policies and prepared queries that an operator installs.
//! - [`catalog`]: a development catalog that speaks enough of Consul's HTTP API for all of
//!   the above, so that a laptop needs no Consul.
//!
//! The rules followed here were measured on Consul 1.8.7; one suite of black-box tests
//! (`tests/contract.rs`) runs against that version and against the development catalog.

pub mod artefacts;
pub mod catalog;
pub mod client;
pub mod directory;
mod folder;
pub mod orders;
pub mod reconcile;
pub mod register;
pub mod settings;
pub mod watch;
