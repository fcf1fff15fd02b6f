//! One agent per machine: it keeps what runs there registered in Consul.
//!
//! Each service says what it is on a unix socket of its own
//! ([`rackcast_service::status`]); nothing is configured here a second time. The agent
//!
//! 1. finds the sockets and asks each one again and again ([`poll`]), and believes the services' own
//!    users alone ([`trust`]),
//! 2. judges what it heard, or did not hear ([`board`]; pure),
//! 3. builds the registration and the result of the check `devices` ([`registration`],
//!    [`settle`]; pure),
//! 4. hands both to [`rackcast_consul::reconcile`], which keeps Consul true to them
//!    ([`daemon`]).
//!
//! An operator tells it to take the machine out of service, and back, over its control socket
//! ([`control`]), or from anywhere through Consul ([`remote`]); the order outlives agent and machine
//! ([`orders`]).
//!
//! It recovers from everything by doing the same again: an agent that was restarted hears the
//! services anew and finds its registrations by the owner that is marked in them.
//!
//! The crate also holds the operator's command, `rackcast`, and with it [`dev`], a whole Rackcast
//! on one machine, and [`explain`](mod@explain), which asks the ingests for their reasons.

pub mod board;
pub mod check;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dev;
pub mod explain;
pub mod inventory;
mod journal;
pub mod machine;
pub mod metrics;
pub mod orders;
pub mod poll;
pub mod probe;
pub mod reach;
pub mod registration;
pub mod remote;
pub mod settle;
pub mod trust;
