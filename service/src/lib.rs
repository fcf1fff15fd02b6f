//! What every Rackcast daemon has in common.
//!
//! A daemon is a process that systemd starts, that an operator configures, that Consul and
//! Prometheus look at, and that keeps worker processes. This crate holds the one way in which
//! all of them do that, so that an ingest, a transcode node and an agent behave alike:
//!
//! | Module | What it is for |
//! |---|---|
//! | [`cli`], [`config`] | `--config FILE`, `--check`, TOML that refuses unknown keys |
//! | [`reload`] | a configuration that changes while the daemon runs |
//! | [`log`](mod@log) | journald under systemd, readable lines on a terminal |
//! | [`status`] | what a service says of itself, on a unix socket that the agent reads |
//! | [`drain`] | whether this machine shall take nothing new, as its agent says |
//! | [`explain`] | how an ingest says why it did what it did |
//! | [`socket`] | unix sockets that outlive no process |
//! | [`admin`], [`http`], [`metrics`] | `/metrics`, `/healthz`, `/readyz` |
//! | [`patient`] | a connection whose peer has only so much time |
//! | [`tls`] | who a peer is; certificates and their replacement |
//! | [`notify`], [`shutdown`] | readiness, a watchdog fed by real progress, a clean end |
//! | [`process`], [`frame`] | worker processes that die with their parent, and talking to them |
//! | [`starved`] | whether what does not move is kept from it by the machine |
//! | [`vital`] | a process ends with the tasks that it cannot do without |
//! | [`fault`] | a deadlock on demand, for tests |
//! | [`backoff`] | how long to wait before something that failed is tried again |
//!
//! No module here knows what the service does.

pub mod admin;
pub mod backoff;
pub mod cli;
pub mod config;
pub mod drain;
pub mod explain;
pub mod fault;
pub mod frame;
pub mod host;
pub mod http;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod patient;
pub mod process;
pub mod reload;
pub mod shutdown;
pub mod socket;
pub mod starved;
pub mod status;
pub mod tls;
pub mod vital;
