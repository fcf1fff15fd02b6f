//! Keeps a machine's registrations true, whatever happens to the agent that holds them.
//!
//! What makes it act: a change of what is desired; a hash watch on each service, which
//! notices within milliseconds that the agent lost or changed it; and a full comparison every
//! half minute, which also sees checks. What is lost is registered again at once, with the
//! health it had. What others registered is never touched: ours is marked in Meta
//! ([`OWNER`](crate::register::OWNER)).
//!
//! It also feeds the TTL checks, from reports that must be young: if the caller's probes
//! hang, their checks expire. On shutdown it removes what it registered.

mod feed;
mod keeper;
mod lookout;
mod plan;

use std::time::{Duration, Instant};

use rackcast_service::vital;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::register::{Registration, Status};
use keeper::Keeper;
pub use plan::{Action, Actual, MAINTENANCE_MARK, Plan, plan};

/// When things are done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between full comparisons.
    #[serde(with = "humantime_serde")]
    pub sync_interval: Duration,
    /// Time between reports of an unchanged TTL check; a third of its TTL.
    #[serde(with = "humantime_serde")]
    pub report_interval: Duration,
    /// A report older than this is not sent: its check shall expire.
    #[serde(with = "humantime_serde")]
    pub report_max_age: Duration,
    /// For so long after the start, services with our mark that nobody desires are left:
    /// their owner may not have spoken yet.
    #[serde(with = "humantime_serde")]
    pub probation: Duration,
    /// Longest time to remove our services on shutdown.
    #[serde(with = "humantime_serde")]
    pub shutdown_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(30),
            report_interval: Duration::from_secs(5),
            report_max_age: Duration::from_secs(15),
            probation: Duration::from_secs(60),
            shutdown_limit: Duration::from_secs(3),
        }
    }
}

impl Config {
    /// Says what is wrong with the values, for `--check`.
    pub fn check(&self) -> Result<(), String> {
        if self.sync_interval.is_zero() || self.report_interval.is_zero() {
            return Err("sync_interval and report_interval must be longer than 0".to_owned());
        }
        if self.report_max_age < self.report_interval {
            return Err("report_max_age must not be shorter than report_interval".to_owned());
        }
        Ok(())
    }
}

/// A service that shall be registered. The owner's mark is added to its Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Service and checks.
    pub registration: Registration,
    /// The last result of each TTL check.
    pub reports: Vec<Report>,
    /// Why it wants no new work, while it does not.
    pub maintenance: Option<String>,
}

/// A result for a TTL check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Check ID.
    pub check: String,
    /// Health.
    pub status: Status,
    /// In words that stay the same while the health does.
    pub output: String,
    /// When it was found out.
    pub taken: Instant,
}

/// How well the agent's registrations match what is desired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Not compared yet.
    #[default]
    Pending,
    /// All as desired.
    Kept,
    /// All but these IDs, which somebody else has registered.
    Conflict(Vec<String>),
    /// Not known, or not as desired.
    Failing {
        /// What went wrong last.
        reason: String,
        /// Whether it can mend without anybody doing something.
        retryable: bool,
    },
}

/// A running reconciler.
#[derive(Debug)]
pub struct Reconciler {
    /// How it goes.
    pub standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Reconciler {
    /// Waits until it has removed its services after the shutdown, or gave up on it.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            log::error!("the reconciler ended before its time: {error}");
        }
    }
}

/// Starts to keep `desired` true, in the name of `owner`.
pub fn spawn(
    client: Client,
    owner: impl Into<String>,
    config: Config,
    desired: watch::Receiver<Vec<Desired>>,
    shutdown: CancellationToken,
) -> Reconciler {
    let (standing, receiver) = watch::channel(Standing::default());
    let keeper = Keeper::new(client, owner.into(), config, standing);
    let until = shutdown.clone();
    let task = vital::spawn("the reconciler", &until, keeper.run(desired, shutdown));
    Reconciler {
        standing: receiver,
        task,
    }
}
