//! A whole Rackcast, as `rackcast dev` runs it.

use std::net::TcpListener;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::process::{Process, program};
use crate::wait::{wait_for, wait_until};

const START: Duration = Duration::from_secs(150);

/// The line of JSON that `rackcast dev` prints when everything is ready.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Base address of the catalog.
    pub consul: String,
    /// Base address for publishers: `rtmp://HOST:PORT`.
    pub rtmp: String,
    /// Base address for players: `http://HOST:PORT`.
    pub hls: String,
    /// The master playlist of the test picture, unless told not to publish one.
    pub stream: Option<String>,
    /// The agent.
    pub agent: Child,
    /// The ingest's supervisor.
    pub ingest: Child,
    /// The transcode nodes.
    pub transcoders: Vec<Transcoder>,
}

/// A child of `rackcast dev`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
}

/// A transcode node under `rackcast dev`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcoder {
    /// Its id in the catalog.
    pub id: String,
    /// Where it takes segments.
    pub url: String,
    /// The supervisor's process id.
    pub pid: u32,
}

/// A running `rackcast dev`; ends when dropped.
#[derive(Debug)]
pub struct Dev {
    /// What it said when it was ready.
    pub ready: Ready,
    process: Process,
}

impl Dev {
    /// Starts it on free ports that stay the same when a child is restarted.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(args: &[&str]) -> Self {
        let mut command = Command::new(program("rackcast"));
        command
            .args(["dev", "--rtmp", &free_address(), "--http", &free_address()])
            .args(args);
        let mut process = Process::start(&mut command);
        let line = wait_for("rackcast dev to be ready", START, || {
            assert!(
                process.ended().is_none(),
                "rackcast dev ended while it started"
            );
            std::future::ready(process.output().find("{\"consul\":"))
        })
        .await;
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"));
        Self { ready, process }
    }

    /// Where to publish `<app>/<stream>`.
    pub fn publish_url(&self, stream: &str) -> String {
        format!("{}/{stream}", self.ready.rtmp.trim_end_matches('/'))
    }

    /// The master playlist of `<app>/<stream>`.
    pub fn master_url(&self, stream: &str) -> String {
        format!(
            "{}/{stream}/master.m3u8",
            self.ready.hls.trim_end_matches('/')
        )
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for a line of its log.
    ///
    /// # Panics
    /// The limit passed.
    pub async fn log_line(&self, text: &str, limit: Duration) {
        wait_until(&format!("the log to say {text:?}"), limit, || {
            self.process.output().find(text).is_some()
        })
        .await;
    }
}

/// An address on loopback that was free a moment ago, below the ports that the system gives to
/// connections: none of those takes it before a server does.
///
/// # Panics
/// All are taken.
pub fn free_address() -> String {
    const PORTS: Range<u16> = 10_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes of tests begin at places of their own.
    let first = std::process::id().wrapping_mul(701);
    let addresses = (0..count).map(|_| {
        let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        format!("127.0.0.1:{}", u32::from(PORTS.start) + next)
    });
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a free port")
}
