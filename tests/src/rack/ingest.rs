use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{NODE, START, daemon, edit, metric, ready};
use crate::dev::free_address;
use crate::process::{Process, children, kill9, program, signal};
use crate::wait::{wait_for, wait_until};

/// A running `rackcast-ingest`.
#[derive(Debug)]
pub struct Ingest {
    /// Base address for publishers.
    pub rtmp: String,
    /// Base address for players.
    pub hls: String,
    /// The same two over TLS, where that was asked for.
    pub rtmps: String,
    /// For players.
    pub https: String,
    /// Base address of its metrics.
    pub admin: String,
    /// Its status socket, for an agent.
    pub socket: PathBuf,
    process: Process,
    file: PathBuf,
    config: String,
    _dir: TempDir,
}

impl Ingest {
    /// Starts one that knows no transcode node; `extra` is added to its configuration.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(extra: &str) -> Self {
        Self::on("http://127.0.0.1:1", 1, extra).await
    }

    /// Starts one that finds its nodes in a catalog, and is told from others on this machine by
    /// its number.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn on(consul: &str, instance: usize, extra: &str) -> Self {
        Self::of(&program("rackcast-ingest"), consul, instance, extra).await
    }

    /// Starts one that also takes publishers and players over TLS, with these tables, those of
    /// certificates and of Consul among them.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn secure(tables: &str) -> Self {
        let (rtmps, https) = (free_address(), free_address());
        let listen = format!("rtmps = {rtmps:?}\nhttps = {https:?}\n");
        let program = program("rackcast-ingest");
        let mut this = Self::with(&program, 1, &listen, tables).await;
        // By the name that certificates are for.
        let named = |scheme: &str, address: &str| {
            let port = address.rsplit_once(':').unwrap().1;
            format!("{scheme}://localhost:{port}")
        };
        (this.rtmps, this.https) = (named("rtmps", &rtmps), named("https", &https));
        this
    }

    /// Starts one with these tables alone, that of Consul among them.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn bare(tables: &str) -> Self {
        Self::with(&program("rackcast-ingest"), 1, "", tables).await
    }

    /// The same, from a program of the test's own.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn of(program: &Path, consul: &str, instance: usize, extra: &str) -> Self {
        let consul = format!("[consul]\naddress = {consul:?}\n");
        Self::with(program, instance, &consul, extra).await
    }

    /// `fixed` stays when the rest is replaced; it continues the table of addresses.
    async fn with(program: &Path, instance: usize, fixed: &str, extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (rtmp, http, admin) = (free_address(), free_address(), free_address());
        let (state, socket) = (dir.path().join("state"), dir.path().join("ingest.sock"));
        std::fs::create_dir(&state).unwrap();
        let config = format!(
            "instance = \"{instance}\"\nnode = {NODE:?}\nstate_dir = {state:?}\nstatus_socket = {socket:?}\n\
             [listen]\nrtmp = {rtmp:?}\nhttp = {http:?}\nadmin = {admin:?}\n{fixed}"
        );
        let file = dir.path().join("ingest.toml");
        std::fs::write(&file, format!("{config}{extra}\n")).unwrap();
        let mut process = Process::start(Command::new(program).arg("--config").arg(&file));
        ready(&mut process, &admin, START).await;
        Self {
            rtmp: format!("rtmp://{rtmp}"),
            hls: format!("http://{http}"),
            rtmps: String::new(),
            https: String::new(),
            admin,
            socket,
            process,
            file,
            config,
            _dir: dir,
        }
    }

    /// Writes another configuration file, with this added to what the test needs; the daemon does
    /// not learn of it.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, extra: &str) {
        std::fs::write(&self.file, format!("{}{extra}\n", self.config)).unwrap();
    }

    /// Puts another configuration in force, with this added to what the test needs.
    ///
    /// # Panics
    /// It is refused, or part of it waits for something.
    pub async fn reload(&self, extra: &str) {
        const LAST: &str = "rackcast_config_last_reload_success_timestamp_seconds";
        let last = self.metric(LAST, &[]).await;
        self.write(extra);
        self.signal(Signal::SIGHUP);
        wait_for("the ingest to have reloaded", START, || async {
            (self.metric(LAST, &[]).await > last).then_some(())
        })
        .await;
        let waiting = self.metric("rackcast_config_waiting_keys", &[]).await;
        assert_eq!(waiting, 0.0, "keys that are not in force");
    }

    /// Replaces text of the configuration file; the daemon does not learn of it.
    ///
    /// # Panics
    /// It cannot be read or written.
    pub fn edit(&self, text: &str, by: &str) {
        edit(&self.file, text, by);
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// The process ids of its generations.
    pub fn generations(&self) -> Vec<u32> {
        children(self.pid(), "generation")
    }

    /// Waits for a line of its log.
    ///
    /// # Panics
    /// It does not come in time.
    pub async fn log_line(&self, text: &str, limit: Duration) {
        let what = format!("the ingest's log to say {text:?}");
        wait_until(&what, limit, || self.process.output().find(text).is_some()).await;
    }

    /// `kill -9`, and another one in its place: with its addresses, its state and nothing else.
    ///
    /// # Panics
    /// It does not become ready again.
    pub async fn restart(&mut self) {
        kill9(self.process.pid());
        self.process.wait(START);
        self.process = daemon("rackcast-ingest", &self.file);
        ready(&mut self.process, &self.admin, START).await;
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written, since its last start.
    pub fn log(&self) -> String {
        self.process.output().lines().join("\n")
    }

    /// The sum of a metric over those of its label sets that contain all of these texts.
    ///
    /// # Panics
    /// There are no metrics.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(&self.admin, name, labels).await
    }
}
