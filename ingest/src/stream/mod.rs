//! A stream from its first publisher to its end: one publisher at a time, one segmenter, one
//! origin stream, and the segments that are out for transcoding.
//!
//! Tasks and their channels:
//!
//! ```text
//! protocol session ──Knock──▶ registry ──Attach──▶ stream task ──Order──▶ dispatch
//!        └────────────Input (one channel a publication)───▲  └──segments──▶ origin
//!                                                             settle task ──▲ (one a segment)
//! ```
//!
//! Every channel is bounded. The stream task never waits for a transcoder or a player, so a
//! publisher waits for nobody: see [`task`].

mod config;
mod contest;
pub mod elsewhere;
mod epoch;
mod format;
mod life;
mod live;
mod lookout;
mod metrics;
mod pace;
mod parts;
mod publication;
mod rates;
mod registry;
mod settle;
mod standing;
mod task;
mod timeline;
mod waiting;

pub use config::{Config, SecondPublisher};
pub use elsewhere::Elsewhere;
pub use epoch::Epochs;
pub use metrics::Metrics;
pub use parts::{Parts, Settings};
pub use publication::{Ended, Feed, Input, Knock, Publication, PublishRequest, Refused, Streams};
pub use registry::Registry;
