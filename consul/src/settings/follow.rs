//! Keeps a daemon's configuration true to the fleet's settings.
//!
//! One task per daemon waits on the whole folder with a blocking query, so that a change is there
//! within milliseconds. What it hears goes through the sieves of [`layer`](super::layer). What is refused
//! is told, counted, and never applied: the last good value stays. So it does while Consul is away,
//! over a restart too ([`super::saved`]).

use std::path::PathBuf;

use prometheus::{IntGauge, Registry};
use rackcast_service::status::Role;
use rackcast_service::vital;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::layer::{Refused, Settings, Values, settle};
use super::{PREFIX, saved};
use crate::client::{Client, Error};
use crate::folder::Folder;

/// How a daemon stands to the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Settings in force.
    pub in_force: usize,
    /// Settings that are not, and why.
    pub refused: Refused,
    /// What Consul says now is known.
    pub fresh: bool,
}

impl Standing {
    /// What a status should say of it, if there is anything to say.
    pub fn complaint(&self) -> Option<String> {
        let (name, why) = self.refused.first_key_value()?;
        let more = match self.refused.len() {
            1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        Some(format!("the setting {name} is refused: {why}{more}"))
    }
}

/// Figures of a daemon's settings.
#[derive(Debug, Clone)]
pub struct Metrics {
    in_force: IntGauge,
    refused: IntGauge,
    fresh: IntGauge,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            in_force: IntGauge::new(
                "rackcast_settings_in_force",
                "Fleet-wide settings that are laid over this daemon's file",
            )?,
            refused: IntGauge::new(
                "rackcast_settings_refused",
                "Fleet-wide settings that this daemon refuses",
            )?,
            fresh: IntGauge::new(
                "rackcast_settings_fresh",
                "1 if the settings are what Consul has now",
            )?,
        };
        registry.register(Box::new(metrics.in_force.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.fresh.clone()))?;
        Ok(metrics)
    }

    fn tell(&self, standing: &Standing) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.in_force.set(count(standing.in_force));
        self.refused.set(count(standing.refused.len()));
        self.fresh.set(i64::from(standing.fresh));
    }
}

/// Follows the settings of a role until `shutdown`; `apply` lays a layer over the daemon's file,
/// or says why it cannot and leaves everything as it was.
///
/// `state_dir` is where the last settings are kept. They are applied before this returns, so that
/// a daemon never works without what it worked with before.
pub fn follow(
    client: Client,
    role: Role,
    state_dir: Option<PathBuf>,
    metrics: Metrics,
    shutdown: CancellationToken,
    apply: impl FnMut(toml::Table) -> Result<(), String> + Send + 'static,
) -> watch::Receiver<Standing> {
    let (standing, receiver) = watch::channel(Standing::default());
    let mut daemon = Daemon {
        settings: Settings::new(role, Values::new()),
        in_force: Values::new(),
        state_dir,
        metrics,
        standing,
        apply,
    };
    daemon.begin();
    let until = shutdown.clone();
    vital::spawn("the watch of the fleet's settings", &until, async move {
        shutdown.run_until_cancelled(daemon.run(client)).await;
    });
    receiver
}

struct Daemon<A> {
    settings: Settings,
    in_force: Values,
    state_dir: Option<PathBuf>,
    metrics: Metrics,
    standing: watch::Sender<Standing>,
    apply: A,
}

impl<A: FnMut(toml::Table) -> Result<(), String>> Daemon<A> {
    /// Begins with the settings of the last life.
    fn begin(&mut self) {
        let Some(dir) = &self.state_dir else { return };
        match saved::load(dir) {
            Ok(values) => {
                self.settings = Settings::new(self.settings.role, values);
                self.put_in_force(false);
            }
            Err(error) => {
                log::warn!(rackcast_reason = error.to_string(); "the last settings cannot be read");
            }
        }
    }

    async fn run(mut self, client: Client) {
        let mut folder = Folder::new(client, PREFIX);
        loop {
            match folder.next().await {
                Ok(entries) => {
                    self.settings.take(&entries, &self.in_force);
                    if self.put_in_force(true)
                        && let Some(dir) = self.state_dir.clone()
                    {
                        save(dir, self.in_force.clone()).await;
                    }
                }
                Err(error) => self.lost(&error),
            }
        }
    }

    /// Applies what is wanted and not in force; says whether that changed anything.
    fn put_in_force(&mut self, fresh: bool) -> bool {
        let (settled, mut refused) = settle(&self.in_force, &self.settings.values, &mut self.apply);
        refused.extend(self.settings.refused.clone());
        let changed = settled != self.in_force;
        for (name, value) in &settled {
            if self.in_force.get(name) != Some(value) {
                log::info!("the fleet's setting {name} is in force: {value}");
            }
        }
        for name in self
            .in_force
            .keys()
            .filter(|name| !settled.contains_key(*name))
        {
            log::info!("the fleet's setting {name} is no more; the file counts again");
        }
        self.in_force = settled;
        let in_force = self.in_force.len();
        self.tell(Standing {
            in_force,
            refused,
            fresh,
        });
        changed
    }

    fn lost(&self, error: &Error) {
        let before = self.standing.borrow().clone();
        if before.fresh || before == Standing::default() {
            log::warn!(rackcast_reason = error.to_string();
                "the fleet's settings cannot be had, the last {} stay: {error}",
                before.in_force);
        }
        self.tell(Standing {
            fresh: false,
            ..before
        });
    }

    fn tell(&self, standing: Standing) {
        self.metrics.tell(&standing);
        for (name, why) in &standing.refused {
            if self.standing.borrow().refused.get(name) != Some(why) {
                log::error!(rackcast_reason = why.as_str();
                    "the fleet's setting {name} is refused and not applied: {why}");
            }
        }
        self.standing.send_if_modified(|before| {
            let modified = *before != standing;
            *before = standing;
            modified
        });
    }
}

async fn save(dir: PathBuf, values: Values) {
    let stored = tokio::task::spawn_blocking(move || saved::store(&dir, &values)).await;
    if let Err(error) = stored.unwrap_or_else(|error| Err(error.into())) {
        log::warn!(rackcast_reason = error.to_string(); "the settings cannot be kept on disk");
    }
}
