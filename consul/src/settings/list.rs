//! What can be set for the whole fleet: keys that a running daemon puts in force at once.

use std::time::Duration;

use rackcast_service::status::Role;

use super::value::Kind;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The daemons that it is for.
    pub role: Role,
    /// Its name: the role, and the key in the configuration files of that role.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it does.
    pub about: &'static str,
}

impl Setting {
    /// The key in the configuration file: tables and the key itself, joined by dots.
    pub fn path(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(_, path)| path)
    }
}

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const LEVELS: Kind = Kind::Choice(&["error", "warn", "info", "debug", "trace"]);
const SHARE: Kind = Kind::Number(0.0, 1.0);
const RATE: Kind = Kind::Number(0.0, 10_000.0);
const CONNECTIONS: Kind = Kind::Count(1, 1_000_000);

const fn seconds(least: u64, most: u64) -> Kind {
    Kind::Span(Duration::from_secs(least), Duration::from_secs(most))
}

const fn of(role: Role, name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting {
        role,
        name,
        kind,
        about,
    }
}

/// All of them.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    of(Role::Ingest, "ingest.log_level", LEVELS, "least level of log lines"),
    of(Role::Ingest, "ingest.stream.ladder", Kind::Ladder,
        "rungs of streams whose key or webhook names none"),
    of(Role::Ingest, "ingest.stream.second_publisher", Kind::Choice(&["refuse", "take-over"]),
        "what a second publisher of a stream meets"),
    of(Role::Ingest, "ingest.stream.grace", seconds(0, 3600),
        "how long a stream waits for its lost publisher"),
    of(Role::Ingest, "ingest.stream.deadline_targets", Kind::Number(0.5, 10.0),
        "time for a segment's renditions, in target durations"),
    of(Role::Ingest, "ingest.stream.max_streams", Kind::Count(1, 100_000), "streams of an ingest"),
    of(Role::Ingest, "ingest.auth.webhook.url", Kind::Url, "who is asked whether one may publish"),
    of(Role::Ingest, "ingest.auth.webhook.timeout", seconds(1, 60), "how long that may take"),
    of(Role::Ingest, "ingest.dispatch.attempts.max", Kind::Count(1, 16),
        "submissions of one segment, the first included"),
    of(Role::Ingest, "ingest.dispatch.hedge.enabled", Kind::Switch,
        "a second attempt beside a slow one"),
    of(Role::Ingest, "ingest.dispatch.retries.per_segment", SHARE,
        "what retries and hedges may add, as a share of the segments"),
    of(Role::Ingest, "ingest.dispatch.retries.per_second", RATE, "and how many a second besides"),
    of(Role::Ingest, "ingest.dispatch.refusals.per_segment", SHARE,
        "the same for attempts after push-back"),
    of(Role::Ingest, "ingest.dispatch.refusals.per_second", RATE, "and how many a second besides"),
    of(Role::Ingest, "ingest.dispatch.circuit.failures", Kind::Count(0, 1000),
        "poison segments in a row that cost a stream its transcoding; 0 for never"),
    of(Role::Ingest, "ingest.degrade.enabled", Kind::Switch,
        "renditions are left out when the nodes cannot carry all"),
    of(Role::Ingest, "ingest.rtmp.connections", CONNECTIONS, "RTMP connections at a time"),
    of(Role::Ingest, "ingest.rtmp.connections_per_address", CONNECTIONS,
        "RTMP connections from one address"),
    of(Role::Transcode, "transcode.log_level", LEVELS, "least level of log lines"),
    of(Role::Transcode, "transcode.drain_timeout", seconds(1, 600),
        "how long running jobs may take to finish after SIGTERM"),
    of(Role::Agent, "agent.log_level", LEVELS, "least level of log lines"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_their_role_and_are_found() {
        for setting in SETTINGS {
            assert_eq!(setting.name, format!("{}.{}", setting.role, setting.path()));
            assert_eq!(find(setting.name), Some(setting));
        }
        assert_eq!(find("ingest.listen.rtmp"), None);
    }
}
