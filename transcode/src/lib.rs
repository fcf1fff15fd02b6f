//! The transcode node: takes a segment over HTTP, answers its renditions.
//!
//! ```text
//! ingest ──HTTP──▶ front ──▶ scheduler ◀── worker's task ──unix socket──▶ worker process
//!                  (admission: who, when)   (one per slot)                 (pipelines)
//! ```
//! The supervising process only listens, decides and passes bytes on; whatever reads a
//! stranger's pictures is a process of its own.
//!
//! | Module | What it is for |
//! |---|---|
//! | [`front`] | HTTP: refusals before the upload, answers that grow, limits |
//! | [`admission`] | pure: which device, who goes first, whose turn, what cannot be in time |
//! | [`device`] | what does the work |
//! | [`calibrate`] | what each device can do, measured |
//! | [`scheduler`] | what front and workers share; guards that give back what they took |
//! | [`worker`] | the processes: start, self-test, limits, heartbeat, restart; quarantine |
//! | [`pipeline`] | GStreamer: a segment's pictures in, renditions out |
//! | [`node`] | all of it together |
//! | [`config`], [`metrics`], [`status`] | what an operator sets and sees |

pub mod admission;
pub mod calibrate;
pub mod config;
pub mod device;
pub mod front;
pub mod gpus;
pub mod metrics;
pub mod node;
pub mod pipeline;
pub mod scheduler;
pub mod status;
pub mod worker;
