//! What is written down of a run, and the figures that it comes to.

mod degrade;
mod histogram;
mod path;
mod record;
mod tally;
mod trace;

pub(crate) use path::restless;
pub(crate) use record::{Record, Sent, Taken};
pub(crate) use tally::Tally;
pub(crate) use trace::Trace;
