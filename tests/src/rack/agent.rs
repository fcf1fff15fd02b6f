use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{START, daemon, metric, ready};
use crate::dev::free_address;
use crate::process::{Process, kill9, program};

/// A running `rackcast-agent`.
#[derive(Debug)]
pub struct Agent {
    admin: String,
    process: Process,
    file: PathBuf,
    control: PathBuf,
    _dir: TempDir,
}

impl Agent {
    /// Starts one that registers the services with these status sockets.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        Self::of("", consul, zone, sockets).await
    }

    /// The same on a machine of this name; one of several that share a Consul agent.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn of(node: &str, consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        let consul = format!("[consul]\naddress = {consul:?}\n");
        Self::with(node, &consul, zone, sockets).await
    }

    /// The same, with this table for Consul.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn with(node: &str, consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (admin, folder) = (free_address(), dir.path().join("run"));
        std::fs::create_dir(&folder).unwrap();
        let services: String = sockets
            .iter()
            .map(|socket| format!("[[service]]\nsocket = {socket:?}\n"))
            .collect();
        let config = format!(
            "node = {node:?}\nzone = {zone:?}\nsocket_dir = {folder:?}\nstatus_socket = {:?}\nadmin = {admin:?}\n\
             {services}{consul}",
            folder.join("agent.sock")
        );
        let file = dir.path().join("agent.toml");
        std::fs::write(&file, config).unwrap();
        let mut process = daemon("rackcast-agent", &file);
        ready(&mut process, &admin, START).await;
        Self {
            admin,
            process,
            file,
            control: folder.join("agent.control"),
            _dir: dir,
        }
    }

    /// `kill -9`, and another one in its place.
    ///
    /// # Panics
    /// It does not become ready again.
    pub async fn restart(&mut self) {
        kill9(self.process.pid());
        self.process.wait(START);
        self.process = daemon("rackcast-agent", &self.file);
        ready(&mut self.process, &self.admin, START).await;
    }

    /// The sum of a metric over those of its label sets that contain all of these texts.
    ///
    /// # Panics
    /// There are no metrics.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(&self.admin, name, labels).await
    }

    /// What `rackcast` prints when it is told to do this with the agent.
    ///
    /// # Panics
    /// It fails.
    pub fn rackcast(&self, args: &[&str]) -> String {
        let mut command = Command::new(program("rackcast"));
        let output = command.args(args).env("RACKCAST_CONTROL", &self.control);
        let output = output.output().unwrap();
        assert!(output.status.success(), "rackcast {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
