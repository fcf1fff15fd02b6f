//! The configuration of `rackcast-transcode`: one TOML file, read and checked before anything
//! is bound.

mod device;
mod worker;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rackcast_service::host;
use rackcast_service::reload::{Rules, Takes};
use rackcast_service::status::Role;
use rackcast_service::tls::{self, Use};
use serde::Deserialize;

use crate::device::Device;
use crate::device::find::Found;
use crate::gpus;
use crate::pipeline::EncoderConfig;

pub use device::Declared;
pub use worker::Worker;

/// When each key takes effect: a restart drains first, and takes a moment.
pub const RULES: Rules = Rules {
    keys: &[("log_level", Takes::Now), ("drain_timeout", Takes::Now)],
    rest: Takes::Restart,
};

/// The whole file. Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This machine's name in the catalog and in logs; empty for the host name.
    pub node: String,
    /// Tells several transcode nodes of one machine apart.
    pub instance: String,
    /// Least level of log lines: error, warn, info, debug or trace.
    pub log_level: log::LevelFilter,
    /// Unix socket at which this service tells the agent about itself.
    pub status_socket: PathBuf,
    /// What must survive a restart: what devices can do, the last settings of the fleet. Empty for
    /// systemd's `StateDirectory`, and nowhere without either.
    pub state_dir: PathBuf,
    /// The Consul agent on this machine, for the fleet's settings.
    pub consul: rackcast_consul::client::Config,
    /// How long running jobs may take to finish after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Addresses.
    pub listen: Listen,
    /// What is accepted over HTTP.
    pub front: Front,
    /// TLS for segments: who this node is, and whose ingests it serves. Cleartext without files.
    pub tls: tls::ServerConfig,
    /// The processes that do the work.
    pub worker: Worker,
    /// How they encode.
    pub encoder: EncoderConfig,
    /// What is asked of the GPUs' driver.
    pub gpu: gpus::Config,
    /// What does the work, where it is not left to be found.
    pub device: Vec<Declared>,
}

/// `[listen]`: port 0 takes a free one, which the status socket and the log name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Segments, from ingests: HTTP/2 with prior knowledge or HTTP/1.1, over TLS if `[tls]` names
    /// certificates.
    pub segments: SocketAddr,
    /// `/metrics`, `/healthz` and `/readyz`.
    pub admin: SocketAddr,
}

/// `[front]`: what is accepted over HTTP, and the limits that hold under attack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Front {
    /// Connections at a time; more wait in the listener's backlog.
    pub max_connections: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of all headers of a request.
    pub max_header_bytes: u32,
    /// How long a client may take to send a request's headers over HTTP/1.1.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a segment's body may take, whatever its deadline.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long after its job's deadline an answer may not have been taken: then its connection ends.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// The furthest deadline that is believed; a later one counts as this.
    #[serde(with = "humantime_serde")]
    pub max_deadline: Duration,
    /// Bytes of a segment.
    pub max_segment_bytes: u64,
    /// Pictures of a segment.
    pub max_frames: u32,
    /// Pixels of a source picture.
    pub max_picture_pixels: u64,
    /// Pictures of a source in a second.
    pub max_frame_rate: u32,
    /// HTTP/2 receive window of one request, in bytes: at least bandwidth times delay.
    pub stream_window: u32,
    /// HTTP/2 receive window of one connection, in bytes.
    pub connection_window: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: String::new(),
            instance: "1".to_owned(),
            log_level: log::LevelFilter::Info,
            status_socket: PathBuf::from("/run/rackcast/transcode.sock"),
            state_dir: PathBuf::new(),
            consul: Default::default(),
            drain_timeout: Duration::from_secs(15),
            listen: Listen::default(),
            front: Front::default(),
            tls: tls::ServerConfig::default(),
            worker: Worker::default(),
            encoder: EncoderConfig::default(),
            gpu: gpus::Config::default(),
            device: Vec::new(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            segments: SocketAddr::from(([0; 4], 7400)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9612)),
        }
    }
}

impl Default for Front {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_streams: 64,
            max_header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            max_deadline: Duration::from_secs(60),
            max_segment_bytes: 32 << 20,
            max_frames: 2_400,
            max_picture_pixels: 4_096 * 2_304,
            max_frame_rate: 120,
            stream_window: 4 << 20,
            connection_window: 16 << 20,
        }
    }
}

impl Config {
    /// This machine's name in the catalog and in logs.
    pub fn node_name(&self) -> String {
        match self.node.as_str() {
            "" => host::name(),
            name => name.to_owned(),
        }
    }

    /// What does the work: what is declared, or else the CPU and the GPUs that were `found` and
    /// lack nothing.
    pub fn devices(&self, found: &[Found]) -> Vec<Device> {
        let found = found.iter().filter(|found| found.is_usable());
        let all = match self.device.is_empty() {
            true => found
                .map(Declared::found)
                .chain([Declared::cpu()])
                .collect(),
            false => self.device.clone(),
        };
        all.iter()
            .map(|declared| declared.device(&self.worker, &self.encoder))
            .collect()
    }

    /// Where the state is kept, if anywhere.
    pub fn state_folder(&self) -> Option<PathBuf> {
        if !self.state_dir.as_os_str().is_empty() {
            return Some(self.state_dir.clone());
        }
        let given = std::env::var_os("STATE_DIRECTORY")?;
        let first = std::env::split_paths(&given).next();
        first.filter(|first| !first.as_os_str().is_empty())
    }

    fn check_devices(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for declared in &self.device {
            let name = declared.name();
            let wrong = |why: String| format!("[[device]] {name}: {why}");
            declared.check().map_err(wrong)?;
            if !names.insert(name.clone()) {
                return Err(format!(
                    "[[device]] {name}: two devices have this name; set name for each"
                ));
            }
        }
        Ok(())
    }

    /// What certificates are used for: to prove to ingests which node this is.
    pub fn tls_use(&self) -> Use {
        Use::Member {
            role: Role::Transcode,
            node: self.node_name(),
        }
    }

    /// Says what does not go together, if anything does not.
    ///
    /// # Errors
    /// One line for the operator, with the key.
    pub fn check(&self) -> Result<(), String> {
        self.encoder.check().map_err(|e| format!("[encoder] {e}"))?;
        self.worker.check().map_err(|e| format!("[worker] {e}"))?;
        self.gpu.check().map_err(|e| format!("[gpu] {e}"))?;
        self.check_devices()?;
        self.consul.check().map_err(|e| format!("[consul] {e}"))?;
        let front = &self.front;
        let rules = [
            (!self.instance.is_empty(), "instance must not be empty"),
            (
                !(self.tls.is_set() && self.instance.contains('-')),
                "instance must not contain '-' with [tls]: the node's name is read from the \
                 service's ID, SERVICE-NODE-INSTANCE",
            ),
            (
                front.max_connections > 0 && front.max_streams > 0,
                "[front] max_connections and max_streams must be at least 1",
            ),
            (
                front.max_header_bytes >= 16 * 1024,
                "[front] max_header_bytes must be at least 16384: a job may fill 12288",
            ),
            (
                front.stream_window <= front.connection_window,
                "[front] stream_window must not be above connection_window",
            ),
            (
                front.connection_window < 1 << 31,
                "[front] connection_window must be below 2147483648",
            ),
            (
                (1..=64 << 20).contains(&front.max_segment_bytes),
                "[front] max_segment_bytes must be between 1 and 67108864",
            ),
        ];
        if let Some((_, why)) = rules.iter().find(|(holds, _)| !holds) {
            return Err((*why).to_owned());
        }
        let certificates = self.tls.check(self.tls_use());
        certificates.map_err(|why| format!("[tls] {why}"))
    }
}
