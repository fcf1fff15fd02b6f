//! The ingest: takes publishers, cuts their streams at keyframes, has every segment
//! transcoded by some node of the fleet, and serves the result as HLS.
//!
//! ```text
//! publisher ──▶ rtmp ──▶ stream ──▶ segmenter          one task a publisher, one a stream
//!                          │ source, audio ─────────▶ origin ──▶ player
//!                          └ segments ─▶ dispatch ──▶   ▲
//!                                          │ results ───┘
//!                            route ◀───────┘ ◀── discovery ◀── Consul
//! ```
//!
//! [`supervisor`] holds the listeners and the watchdog; [`generation`] is the process that
//! does the work, and everything else runs in it.

pub mod auth;
pub mod config;
pub mod directory;
pub mod discovery;
pub mod dispatch;
pub mod entrance;
pub mod explain;
pub mod generation;
mod glob;
pub mod origin;
pub mod probe;
pub mod relay;
pub mod reload;
pub mod rtmp;
pub mod segmenter;
pub mod stream;
pub mod supervisor;
pub mod tls;
pub mod turn;
