//! Keeps a daemon's configuration true to the fleet's settings.
//!
//! One task per daemon waits on the whole folder with a blocking query, so that a change is there
//! within milliseconds. What it hears goes through two sieves: each value alone ([`Settings`],
//! pure), then all of them together with the daemon's own file ([`settle`]), which applies what
//! fits and refuses the rest. What is refused is told, counted, and never applied: the last good
//! value stays. So it does while Consul is away, over a restart too ([`super::saved`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use prometheus::{IntGauge, Registry};
use rackcast_service::status::Role;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::document::Document;
use super::list::find;
use super::{PREFIX, saved};
use crate::client::{Client, Entry, Error};
use crate::folder::Folder;

/// Values by the names of their settings.
pub type Values = BTreeMap<&'static str, Value>;
/// Why settings are refused, by their names.
pub type Refused = BTreeMap<String, String>;

/// The settings of one role as Consul has them: those that are good, each by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    role: Role,
    values: Values,
    refused: Refused,
}

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

impl Settings {
    fn new(role: Role, values: Values) -> Self {
        let mut values = values;
        values.retain(|name, _| find(name).is_some_and(|setting| setting.role == role));
        Self {
            role,
            values,
            refused: Refused::new(),
        }
    }

    /// Takes in all that Consul has. A setting that is bad keeps the value that is in force.
    fn take(&mut self, entries: &[Entry], in_force: &Values) {
        self.values.clear();
        self.refused.clear();
        let mine = format!("{}.", self.role);
        for entry in entries {
            let name = entry.key.strip_prefix(PREFIX).unwrap_or(&entry.key);
            if !name.starts_with(&mine) {
                continue;
            }
            match read(name, &entry.value) {
                Ok((name, Some(value))) => drop(self.values.insert(name, value)),
                Ok((_, None)) => {}
                Err(why) => {
                    let kept = in_force.get_key_value(name);
                    self.values
                        .extend(kept.map(|(name, value)| (*name, value.clone())));
                    self.refused.insert(name.escape_debug().to_string(), why);
                }
            }
        }
    }
}

fn read(name: &str, json: &[u8]) -> Result<(&'static str, Option<Value>), String> {
    let setting = find(name).ok_or("this version has no such setting")?;
    let document: Document =
        serde_json::from_slice(json).map_err(|error| format!("not understood: {error}"))?;
    if let Some(value) = &document.now.value {
        setting
            .kind
            .check(value)
            .map_err(|invalid| invalid.to_string())?;
    }
    Ok((setting.name, document.now.value))
}

/// The layer that these values are, as a configuration file would hold it.
pub fn layer(values: &Values) -> toml::Table {
    let mut layer = toml::Table::new();
    for (name, value) in values {
        let Some(setting) = find(name) else { continue };
        let Ok(value) = setting.kind.check(value) else {
            continue;
        };
        insert(&mut layer, setting.path(), value);
    }
    layer
}

fn insert(table: &mut toml::Table, path: &str, value: toml::Value) {
    let Some((first, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return;
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| toml::Table::new().into());
    if let toml::Value::Table(inner) = inner {
        insert(inner, rest, value);
    }
}

/// Has `apply` put in force as much of `wanted` as fits together: all of it, or where that is
/// refused each change that is not. Returns what is in force then, and what is refused.
pub fn settle(
    in_force: &Values,
    wanted: &Values,
    apply: &mut impl FnMut(toml::Table) -> Result<(), String>,
) -> (Values, Refused) {
    if in_force == wanted || apply(layer(wanted)).is_ok() {
        return (wanted.clone(), Refused::new());
    }
    let (mut settled, mut refused) = (in_force.clone(), Refused::new());
    let names = in_force.keys().chain(wanted.keys());
    let changed: std::collections::BTreeSet<_> = names
        .filter(|name| in_force.get(*name) != wanted.get(*name))
        .collect();
    for name in changed {
        let mut with = settled.clone();
        match wanted.get(name) {
            Some(value) => with.insert(name, value.clone()),
            None => with.remove(name),
        };
        match apply(layer(&with)) {
            Ok(()) => settled = with,
            Err(why) => drop(refused.insert((*name).to_owned(), why)),
        }
    }
    (settled, refused)
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
    tokio::spawn(async move { shutdown.run_until_cancelled(daemon.run(client)).await });
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(name: &str, value: &str) -> Entry {
        let json = format!(r#"{{"value":{value},"by":"a","at":"2026-01-01T00:00:00Z"}}"#);
        Entry {
            key: format!("{PREFIX}{name}"),
            value: json.into(),
            modify_index: 7,
            session: None,
        }
    }

    #[test]
    fn what_is_bad_keeps_its_last_good_value_and_is_told() {
        let mut settings = Settings::new(Role::Ingest, Values::new());
        let entries = [
            entry("ingest.stream.grace", "\"5s\""),
            entry("ingest.stream.ladder", "\"720p@2800k\""),
            entry("agent.log_level", "\"nonsense of another role\""),
        ];
        settings.take(&entries, &Values::new());
        let good = Values::from([
            ("ingest.stream.grace", json!("5s")),
            ("ingest.stream.ladder", json!("720p@2800k")),
        ]);
        assert_eq!((&settings.values, settings.refused.len()), (&good, 0));
        let mut broken = entry("ingest.stream.ladder", "1");
        broken.value = "{".into();
        let entries = [
            entry("ingest.stream.grace", "\"5 years\""),
            broken,
            entry("ingest.of.the.future", "1"),
        ];
        settings.take(&entries, &good);
        assert_eq!(settings.values, good);
        let refused: Vec<_> = settings.refused.keys().map(String::as_str).collect();
        let names = [
            "ingest.of.the.future",
            "ingest.stream.grace",
            "ingest.stream.ladder",
        ];
        assert_eq!(refused, names);
        settings.take(&[entry("ingest.stream.grace", "null")], &good);
        assert_eq!((settings.values.len(), settings.refused.len()), (0, 0));
    }

    #[test]
    fn a_layer_is_what_a_file_would_hold() {
        let values = Values::from([
            ("ingest.dispatch.retries.per_second", json!(2)),
            ("ingest.dispatch.hedge.enabled", json!(false)),
            ("ingest.log_level", json!("debug")),
        ]);
        let text = "log_level = \"debug\"\n[dispatch]\nhedge = { enabled = false }\n\
                    retries = { per_second = 2.0 }";
        assert_eq!(layer(&values), text.parse::<toml::Table>().unwrap());
    }

    #[test]
    fn what_does_not_fit_keeps_nothing_else_from_being_applied() {
        let (grace, streams) = ("ingest.stream.grace", "ingest.stream.max_streams");
        let before = Values::from([(grace, json!("5s")), (streams, json!(1))]);
        let wanted = Values::from([(grace, json!("9s")), (streams, json!(2))]);
        let mut applied = Vec::new();
        let mut apply = |layer: toml::Table| {
            let text = layer.to_string();
            if text.contains("max_streams = 2") {
                return Err("no room for 2".to_owned());
            }
            applied.push(layer);
            Ok(())
        };
        let (settled, refused) = settle(&before, &wanted, &mut apply);
        assert_eq!(
            settled,
            Values::from([(grace, json!("9s")), (streams, json!(1))])
        );
        assert_eq!(
            refused,
            Refused::from([(streams.to_owned(), "no room for 2".to_owned())])
        );
        let (settled, refused) = settle(&settled, &Values::new(), &mut apply);
        assert!(settled.is_empty() && refused.is_empty());
        assert_eq!(applied.len(), 2, "{applied:?}");
        assert!(applied[0].to_string().contains("9s") && applied[1].is_empty());
    }
}
