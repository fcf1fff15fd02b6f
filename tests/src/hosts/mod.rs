//! Real hosts: Debian as systemd boots it, a network of their own, power and cables to pull.
//!
//! `tests/fleet/fleet` makes them, and can be used by hand beside this. The control side, where
//! publishers, players and a Consul server run, is a network namespace that the test program
//! [enters](Hosts::up) before it starts any thread; nothing that a host sends leaves the machine.
//!
//! [`Ground`] is such a fleet with all that it can reach; [`tell`] tells the stories of a program.

mod ground;
mod host;
mod repository;
mod story;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, setns};

pub use ground::{Ground, PACKAGES, at_once};
pub use host::{Host, Ran};
pub use repository::{Repository, Version};
pub use story::{Stage, Story, Telling, tell};

use crate::files::root;
use crate::process::runs;

/// A Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    /// Its code name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// Hosts that run until this is dropped.
#[derive(Debug)]
pub struct Hosts {
    script: Script,
    hosts: Vec<Host>,
    gateway: String,
    ssh_config: PathBuf,
}

impl Hosts {
    /// Whether this machine can hold hosts.
    ///
    /// # Errors
    /// What keeps it from that.
    pub fn possible() -> Result<(), String> {
        Script::new("check").call(&["check"]).map(drop)
    }

    /// Boots hosts, and takes this thread, and those that it starts from now on, to their network.
    /// Some have a disk of so many MiB, which can be full.
    ///
    /// # Panics
    /// They do not come up.
    pub fn up(hosts: &[(&str, Suite, Option<u32>)]) -> Self {
        forget_the_dead();
        let script = Script::new(&format!("{PREFIX}{}", std::process::id()));
        let mut words = vec!["up".to_owned()];
        words.extend(hosts.iter().map(|(h, s, disk)| {
            let disk = disk.map_or_else(String::new, |mib| format!(":{mib}"));
            format!("{h}={}{disk}", s.name())
        }));
        // From here on there is something to take down.
        let mut up = Self {
            script,
            hosts: Vec::new(),
            gateway: String::new(),
            ssh_config: PathBuf::new(),
        };
        up.script.must(&words);
        up.gateway = up.script.must(&["gateway"]);
        let run = PathBuf::from(up.script.must(&["run"]));
        up.ssh_config = run.join("ssh_config");
        let host = |(name, suite, _): &(&str, Suite, Option<u32>)| {
            let address = up.script.must(&["ip", name]).parse().unwrap();
            Host::new(up.script.clone(), &run, name, *suite, address)
        };
        up.hosts = hosts.iter().map(host).collect();
        let network = File::open(format!("/run/netns/{}-ctl", up.script.id)).unwrap();
        setns(network, CloneFlags::CLONE_NEWNET).expect("the hosts' network can be entered");
        up
    }

    /// All of them, in the order in which they were asked for.
    pub fn all(&self) -> &[Host] {
        &self.hosts
    }

    /// One by its name.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn host(&self, name: &str) -> &Host {
        let found = self.hosts.iter().find(|h| h.name() == name);
        found.unwrap_or_else(|| panic!("there is no host {name}"))
    }

    /// The control side's address on the hosts' network.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// `ssh -F` with it knows every host by its name and its address, with its key.
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// Serves a folder to the hosts at `http://<gateway>/`, instead of the one before.
    ///
    /// # Panics
    /// It cannot be served.
    pub fn serve(&self, folder: &Path) {
        self.script.must(&["serve", path(folder)]);
    }

    /// Makes what hosts of these suites are made of, if it is not there yet.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn trees(suites: &[Suite]) {
        let names = suites.iter().map(|suite| suite.name());
        let words: Vec<_> = std::iter::once("trees").chain(names).collect();
        Script::new("trees").must(&words);
    }

    /// A repository of all that these packages need of a suite, themselves included where they
    /// are not in `ours`.
    ///
    /// # Panics
    /// apt finds no way to install them on a fresh host.
    pub fn mirror(suite: Suite, ours: &[&Path], packages: &[&str]) -> PathBuf {
        let mut words = vec!["mirror", suite.name()];
        words.extend(ours.iter().map(|p| path(p)));
        words.extend(packages);
        PathBuf::from(Script::new("mirror").must(&words))
    }

    /// A repository of the Consul that hosts run.
    ///
    /// # Panics
    /// It cannot be fetched.
    pub fn consul() -> PathBuf {
        PathBuf::from(Script::new("mirror").must(&["consul"]))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in &self.hosts {
                eprintln!("--- the last lines of {}'s journal", host.name());
                eprintln!("{}", host.last_words());
            }
        }
        if let Err(reason) = self.script.call(&["down"]) {
            eprintln!("the hosts are still up: {reason}");
        }
    }
}

/// What the fleets of test programs are called; their process ids follow.
const PREFIX: &str = "t";

/// Takes down what test programs left that were killed.
fn forget_the_dead() {
    let run = PathBuf::from(Script::new("any").must(&["run"]));
    let Ok(fleets) = std::fs::read_dir(run.parent().unwrap()) else {
        return;
    };
    for fleet in fleets.flatten() {
        let id = fleet.file_name().to_string_lossy().into_owned();
        let pid = id.strip_prefix(PREFIX).and_then(|p| p.parse().ok());
        if pid.is_some_and(|pid| !runs(pid)) {
            eprintln!("taking down fleet {id}, whose test program is gone");
            Script::new(&id).must(&["down"]);
        }
    }
}

/// `tests/fleet/fleet`, for one fleet.
#[derive(Debug, Clone)]
struct Script {
    id: String,
}

impl Script {
    fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    fn call<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Result<String, String> {
        let mut command = Command::new(root().join("tests/fleet/fleet"));
        let output = command.env("FLEET_ID", &self.id).args(words).output();
        let output = output.map_err(|e| format!("tests/fleet/fleet: {e}"))?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            return Ok(text.trim_end().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned())
    }

    fn must<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> String {
        self.call(words).unwrap_or_else(|reason| panic!("{reason}"))
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
