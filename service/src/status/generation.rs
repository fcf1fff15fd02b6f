//! The processes of a service that hands over to new ones while older ones serve on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one generation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is not ready.
    Starting,
    /// It accepts.
    Serving,
    /// A newer one accepts; it serves its publishers.
    Retired,
    /// It sent its publishers away; what they left can be played.
    Leaving,
    /// It was told to stop.
    Ending,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Retired => "retired",
            Self::Leaving => "leaving",
            Self::Ending => "ending",
        })
    }
}

/// One process of a service that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Tells it from the others; a newer one has a higher number.
    pub number: u64,
    /// The process; 0 if it is not known.
    pub pid: u32,
    /// Its version; empty until it has said it.
    pub version: String,
    /// What it is doing.
    pub phase: Phase,
    /// Since when, in seconds since the Unix epoch.
    pub since: u64,
    /// When it will be made to do the next thing, in seconds since the Unix epoch; none while it
    /// serves.
    pub until: Option<u64>,
    /// Streams with a publisher, or waiting for it to return.
    pub streams: u64,
}
