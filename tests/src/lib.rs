//! What the tests of whole processes have in common.
//!
//! [`dev`] runs a Rackcast as its users do ([`consul`] a real Consul), [`publish`] feeds it, [`player`] follows it as a
//! player would and keeps all that it saw, [`probe`] asks ffprobe, which knows nothing of our
//! code, what that is worth, and [`browser`] asks Chromium. Whatever is started ends with the
//! value that stands for it.
//!
//! A helper that cannot do its work panics: in a test that is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod audit;
pub mod browser;
pub mod check;
pub mod consul;
pub mod datacenter;
pub mod dev;
pub mod explain;
pub mod files;
pub mod fleet;
pub mod hls;
pub mod hosts;
pub mod http;
pub mod job;
pub mod load;
pub mod meter;
pub mod netns;
pub mod pki;
pub mod player;
pub mod playlist;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod publish;
pub mod rack;
pub mod rates;
pub mod recording;
pub mod show;
pub mod truth;
pub mod wait;
pub mod wire;
