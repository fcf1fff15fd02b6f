//! One host: what can be asked of it, and done to it.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Script, Suite};
use crate::wait::wait_until;

/// A host of a [fleet](super::Hosts).
#[derive(Debug, Clone)]
pub struct Host {
    script: Script,
    name: String,
    suite: Suite,
    address: Ipv4Addr,
    ssh: PathBuf,
}

/// How a command on a host ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit status was 0.
    pub good: bool,
    /// What it wrote, standard output first.
    pub text: String,
}

impl Host {
    pub(super) fn new(
        script: Script,
        run: &Path,
        name: &str,
        suite: Suite,
        address: Ipv4Addr,
    ) -> Self {
        Self {
            script,
            name: name.to_owned(),
            suite,
            address,
            ssh: run.join("ssh_config"),
        }
    }

    /// Its name, which all hosts know.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it runs.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Runs a script as root, over ssh, with this as its standard input.
    pub fn feed(&self, script: &str, input: &str) -> Ran {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(&self.ssh)
            .args([&self.name, "--", script]);
        let piped = || Stdio::piped();
        let spawned = ssh.stdin(piped()).stdout(piped()).stderr(piped()).spawn();
        let mut child = spawned.expect("ssh runs");
        let mut stdin = child.stdin.take().unwrap();
        // A script that reads nothing may have ended: what it said is the report.
        let _closed = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        Ran {
            good: output.status.success(),
            text,
        }
    }

    /// Runs a script that may fail.
    pub fn attempt(&self, script: &str) -> Ran {
        self.feed(script, "")
    }

    /// Runs a script; what it wrote, without the last line's end.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, script: &str) -> String {
        let ran = self.attempt(script);
        assert!(ran.good, "{}: `{script}` fails:\n{}", self.name, ran.text);
        ran.text.trim_end().to_owned()
    }

    /// Writes a file, whose folder is made if need be.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, file: &str, text: &str) {
        let ran = self.feed(
            &format!("mkdir -p \"$(dirname {file})\" && cat >{file}"),
            text,
        );
        assert!(ran.good, "{}: {file}: {}", self.name, ran.text);
    }

    /// A property of a unit, as `systemctl show` tells it.
    ///
    /// # Panics
    /// systemd does not answer.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.run(&format!("systemctl show --value --property {name} {unit}"))
    }

    /// Waits for a unit's property to have a value.
    ///
    /// # Panics
    /// The limit passed.
    pub async fn until(&self, unit: &str, name: &str, value: &str, limit: Duration) {
        let what = format!("{name} of {unit} on {} to be {value}", self.name);
        wait_until(&what, limit, || self.property(unit, name) == value).await;
    }

    /// The journal's entries that match, as journalctl's JSON tells them.
    ///
    /// # Panics
    /// There is no journal.
    pub fn journal(&self, matches: &str) -> Vec<Value> {
        let text = self.run(&format!(
            "journalctl --sync; journalctl --quiet --no-pager -o json {matches}"
        ));
        let entry = |line: &str| serde_json::from_str(line).expect("an entry is JSON");
        text.lines().map(entry).collect()
    }

    /// The end of its services' journal, whatever state its network is in.
    pub fn last_words(&self) -> String {
        let words = ["enter", &self.name, "journalctl", "--no-pager", "-n", "100"];
        let words = [&words[..], &["-u", "rackcast-*", "-u", "consul"]].concat();
        self.script.call(&words).unwrap_or_else(|reason| reason)
    }

    /// Power loss: nothing is closed, nobody is told. The disk is kept.
    pub fn kill(&self) {
        self.script.must(&["kill", &self.name]);
    }

    /// Power on; returns when systemd has started everything.
    pub fn start(&self) {
        self.script.must(&["start", &self.name]);
    }

    /// Stops all of its processes at once, as they stand.
    pub fn freeze(&self) {
        self.script.must(&["freeze", &self.name]);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.script.must(&["thaw", &self.name]);
    }

    /// Pulls its cable.
    pub fn cut(&self) {
        self.script.must(&["cut", &self.name]);
    }

    /// Plugs its cable in.
    pub fn heal(&self) {
        self.script.must(&["heal", &self.name]);
    }

    /// Gives it power, lets it go on and plugs its cable in, as far as it has not.
    pub fn mend(&self) {
        self.script.must(&["mend", &self.name]);
    }
}
