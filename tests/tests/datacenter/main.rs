//! Rackcast in a whole Consul datacenter: a server and three clients, each on a machine that is a
//! network namespace, under default-deny ACLs with the shipped policies.
//!
//! It needs root and iproute2, and says so loudly where it has not got them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dns;
mod fleet;
mod orders;
mod policies;
mod registrations;
