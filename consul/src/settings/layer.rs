//! What Consul has made into a layer over a daemon's file. Pure.
//!
//! Two sieves: each value alone ([`Settings`]), then all of them together with the daemon's own
//! file ([`settle`]), which applies what fits and refuses the rest. A bad value keeps the last good
//! one in force.

use std::collections::BTreeMap;

use rackcast_service::status::Role;
use serde_json::Value;

use super::PREFIX;
use super::document::Document;
use super::list::find;
use crate::client::Entry;

/// Values by the names of their settings.
pub type Values = BTreeMap<&'static str, Value>;
/// Why settings are refused, by their names.
pub type Refused = BTreeMap<String, String>;

/// The settings of one role as Consul has them: those that are good, each by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(super) role: Role,
    pub(super) values: Values,
    pub(super) refused: Refused,
}

impl Settings {
    pub(super) fn new(role: Role, values: Values) -> Self {
        let mut values = values;
        values.retain(|name, _| find(name).is_some_and(|setting| setting.role == role));
        Self {
            role,
            values,
            refused: Refused::new(),
        }
    }

    /// Takes in all that Consul has. A setting that is bad keeps the value that is in force.
    pub(super) fn take(&mut self, entries: &[Entry], in_force: &Values) {
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
