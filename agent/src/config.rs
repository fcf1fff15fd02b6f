//! The agent's configuration: one TOML file, every key with a default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rackcast_service::reload::{Rules, Takes};
use serde::Deserialize;

/// When each key takes effect: a restart keeps the registrations, and takes a moment.
pub const RULES: Rules = Rules {
    keys: &[("log_level", Takes::Now)],
    rest: Takes::Restart,
};

/// The whole file. An unknown key is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This machine's name in the fleet; empty for the host name.
    pub node: String,
    /// The zone that this machine stands in, for those who route; empty for none.
    pub zone: String,
    /// Who keeps these registrations, as marked in each of them; empty for
    /// `rackcast-agent-<node>`. Two agents that share one Consul agent must differ in it.
    pub owner: String,
    /// What service names begin with: `<prefix>-ingest`, `<prefix>-transcode`.
    pub service_prefix: String,
    /// Address that others reach this machine's services at, where a service listens on all;
    /// empty for the address that Consul knows the node by.
    pub advertise: String,
    /// Least level of log lines: error, warn, info, debug or trace.
    pub log_level: log::LevelFilter,
    /// Folder in which every `*.sock` is taken for a service's status socket.
    pub socket_dir: PathBuf,
    /// The agent's own status socket.
    pub status_socket: PathBuf,
    /// Where operators on this machine tell the agent something; empty for the status socket's
    /// name with `.control`.
    pub control_socket: PathBuf,
    /// Unix group whose members may do that, beside root.
    pub control_group: String,
    /// What must survive a reboot: whether the machine drains. Empty for the folder that systemd
    /// gives (`StateDirectory=`); without systemd, one beside the status socket.
    pub state_dir: PathBuf,
    /// Status sockets that stand elsewhere.
    pub service: Vec<ServiceSocket>,
    /// Address of `/metrics`, `/healthz` and `/readyz`; port 0 takes a free one.
    pub admin: SocketAddr,
    /// The Consul agent on this machine.
    pub consul: rackcast_consul::client::Config,
    /// How services are asked and judged.
    pub check: Check,
    /// What the agent looks at itself.
    pub probe: crate::probe::Config,
    /// How registrations are kept true.
    pub reconcile: rackcast_consul::reconcile::Config,
}

/// One `[[service]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSocket {
    /// Its status socket.
    pub socket: PathBuf,
}

/// `[check]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// Time between two looks for new sockets, and at what stands still.
    #[serde(with = "humantime_serde")]
    pub scan_interval: Duration,
    /// Time between two questions to one service. A change of its health is in Consul this
    /// much later at most.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Whose word counts on the sockets of `socket_dir`, beside root's and the agent's own user's.
    pub users: Users,
    /// A service that does not answer for so long is critical.
    #[serde(with = "humantime_serde")]
    pub silent_after: Duration,
    /// A service whose progress stands still for so long is critical. While it lives it moves four
    /// times a second.
    #[serde(with = "humantime_serde")]
    pub stalled_after: Duration,
    /// The same two for a service that the machine does not let run, and for one that starts; shorter
    /// waits make them longer by as much, up to this.
    #[serde(with = "humantime_serde")]
    pub starved_after: Duration,
    /// A service that vanished without draining is critical, and deregistered after so long.
    #[serde(with = "humantime_serde")]
    pub forget_after: Duration,
    /// A process that was critical must have been well for so long to be believed.
    #[serde(with = "humantime_serde")]
    pub recover_after: Duration,
    /// Least time between two changes of what merely describes a service: tags, Meta, weights.
    /// Each one sends the whole list of instances to every watcher.
    #[serde(with = "humantime_serde")]
    pub settle_interval: Duration,
    /// Life of a result of the check `devices`: silence of this agent for so long is critical.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// Time between two looks of Consul at a service's `/healthz`.
    #[serde(with = "humantime_serde")]
    pub http_interval: Duration,
    /// How long `/healthz` may take.
    #[serde(with = "humantime_serde")]
    pub http_timeout: Duration,
    /// Consul removes a service by itself once it was critical for so long.
    #[serde(with = "humantime_serde")]
    pub deregister_after: Duration,
}

/// `[check.users]`: the user that each service runs as; empty for none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// Of ingest.
    pub ingest: String,
    /// Of the transcode node.
    pub transcode: String,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            ingest: "rackcast-ingest".to_owned(),
            transcode: "rackcast-transcode".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: String::new(),
            zone: String::new(),
            owner: String::new(),
            service_prefix: "rackcast".to_owned(),
            advertise: String::new(),
            log_level: log::LevelFilter::Info,
            socket_dir: PathBuf::from("/run/rackcast"),
            status_socket: PathBuf::from("/run/rackcast/agent.sock"),
            control_socket: PathBuf::new(),
            control_group: "rackcast".to_owned(),
            state_dir: PathBuf::new(),
            service: Vec::new(),
            admin: SocketAddr::from(([127, 0, 0, 1], 9610)),
            consul: Default::default(),
            check: Check::default(),
            probe: Default::default(),
            reconcile: Default::default(),
        }
    }
}

impl Default for Check {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            scan_interval: Duration::from_millis(100),
            poll_interval: Duration::from_millis(200),
            users: Users::default(),
            silent_after: Duration::from_millis(700),
            stalled_after: Duration::from_millis(700),
            starved_after: seconds(10),
            forget_after: seconds(600),
            recover_after: seconds(5),
            settle_interval: seconds(60),
            ttl: seconds(15),
            http_interval: seconds(5),
            http_timeout: seconds(2),
            deregister_after: seconds(600),
        }
    }
}

impl Config {
    /// This machine's name in the fleet.
    pub fn node_name(&self) -> String {
        match self.node.as_str() {
            "" => rackcast_service::host::name(),
            node => node.to_owned(),
        }
    }

    /// Who keeps the registrations.
    pub fn owner_name(&self) -> String {
        match self.owner.as_str() {
            "" => format!("rackcast-agent-{}", self.node_name()),
            owner => owner.to_owned(),
        }
    }

    /// Where the control socket stands.
    pub fn control_path(&self) -> PathBuf {
        match self.control_socket.as_os_str().is_empty() {
            true => self.status_socket.with_extension("control"),
            false => self.control_socket.clone(),
        }
    }

    /// Where the state is kept.
    pub fn state_folder(&self) -> PathBuf {
        if !self.state_dir.as_os_str().is_empty() {
            return self.state_dir.clone();
        }
        let given = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
        match std::env::split_paths(&given).next() {
            Some(first) if !first.as_os_str().is_empty() => first,
            _ => self.status_socket.with_extension("state"),
        }
    }

    /// Refuses values that cannot work, each with what would.
    ///
    /// # Errors
    /// The first that was found.
    pub fn check(&self) -> Result<(), String> {
        let dns = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.service_prefix.is_empty() || !self.service_prefix.chars().all(dns) {
            return Err(format!(
                "service_prefix {:?} must be letters, digits and '-', since it is looked up in DNS",
                self.service_prefix
            ));
        }
        self.check.check()?;
        self.probe.check()?;
        if self.reconcile.report_interval >= self.check.ttl {
            return Err(format!(
                "reconcile.report_interval ({:?}) must be shorter than check.ttl ({:?}), or the \
                 check expires between two reports",
                self.reconcile.report_interval, self.check.ttl
            ));
        }
        self.consul
            .check()
            .map_err(|why| format!("consul: {why}"))?;
        self.reconcile
            .check()
            .map_err(|why| format!("reconcile: {why}"))
    }
}

impl Check {
    fn check(&self) -> Result<(), String> {
        let at_least = |name: &str, value: Duration, least: Duration| match value >= least {
            true => Ok(()),
            false => Err(format!(
                "check.{name} is {value:?}; it must be {least:?} at least"
            )),
        };
        let (moment, second) = (Duration::from_millis(10), Duration::from_secs(1));
        at_least("scan_interval", self.scan_interval, moment)?;
        at_least("poll_interval", self.poll_interval, moment)?;
        at_least("silent_after", self.silent_after, self.poll_interval)?;
        at_least("stalled_after", self.stalled_after, self.poll_interval)?;
        at_least("starved_after", self.starved_after, self.stalled_after)?;
        at_least("starved_after", self.starved_after, self.silent_after)?;
        at_least("ttl", self.ttl, second)?;
        at_least("http_interval", self.http_interval, second)?;
        at_least("http_timeout", self.http_timeout, moment)?;
        at_least(
            "deregister_after",
            self.deregister_after,
            Duration::from_secs(60),
        )
    }
}
