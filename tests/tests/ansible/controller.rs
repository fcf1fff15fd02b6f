//! Where playbooks are run: the collection as it would be installed, an inventory, and the secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rackcast_tests::files::root;
use serde_json::Value;
use tempfile::TempDir;

/// Playbooks by the names that operators use.
const COLLECTION: &str = "rackcast.fleet";

/// Names a virtual environment whose ansible-core runs all plays, instead of both of ours.
const OTHER: &str = "RACKCAST_ANSIBLE";

/// Which ansible-core, of those that `tools/install-deps test` installs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Core {
    /// The newest that runs on Debian 12's Python.
    New,
    /// That of Debian 12, the oldest that the collection promises to work with.
    Old,
}

/// The machine that Ansible runs on, which stands beside the hosts.
#[derive(Debug)]
pub(crate) struct Controller {
    dir: TempDir,
    plays: AtomicU32,
    /// What no output may show.
    known_secrets: Vec<String>,
}

/// What a playbook did.
#[derive(Debug)]
pub(crate) struct Played {
    /// It ended well.
    pub(crate) good: bool,
    /// What it wrote.
    pub(crate) text: String,
    /// Its recap.
    pub(crate) hosts: BTreeMap<String, Recap>,
}

/// A line of a recap: numbers of tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recap {
    pub(crate) changed: u32,
    pub(crate) failed: u32,
    pub(crate) rescued: u32,
    pub(crate) unreachable: u32,
}

impl Controller {
    /// With the working tree's collection, built and installed as an operator does, and no inventory
    /// yet.
    ///
    /// # Panics
    /// The collection cannot be built.
    pub(crate) fn new(known_secrets: Vec<String>) -> Self {
        let controller = Self {
            dir: tempfile::tempdir().unwrap(),
            plays: AtomicU32::new(0),
            known_secrets,
        };
        let dir = controller.dir.path();
        std::fs::create_dir(dir.join("inventory")).unwrap();
        let galaxy = |words: &[&str]| {
            let mut galaxy = controller.command(Core::New, "ansible-galaxy");
            let output = galaxy.arg("collection").args(words).output().unwrap();
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words:?}: {complaints}");
        };
        let source = root().join("ansible");
        galaxy(&["build", "--output-path", text(dir), text(&source)]);
        let built = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path());
        let built = built.filter(|p| p.extension().is_some_and(|e| e == "gz"));
        let built = built.last().expect("an archive was built");
        let place = dir.join("collections");
        galaxy(&["install", "--offline", "-p", text(&place), text(&built)]);
        controller
    }

    /// Writes the inventory that is used from now on.
    pub(crate) fn know(&self, inventory: &Value) {
        // JSON is YAML.
        let text = serde_json::to_string_pretty(inventory).unwrap();
        std::fs::write(self.inventory(), text).unwrap();
    }

    /// Runs a playbook that must end well.
    ///
    /// # Panics
    /// It does not, or shows a secret.
    pub(crate) fn play(&self, playbook: &str, options: &[&str]) -> Played {
        self.play_by(Core::New, playbook, options)
    }

    /// The same by this ansible-core.
    ///
    /// # Panics
    /// It does not end well, or shows a secret.
    pub(crate) fn play_by(&self, core: Core, playbook: &str, options: &[&str]) -> Played {
        let played = self.attempt_by(core, playbook, options);
        assert!(played.good, "{playbook} {options:?}:\n{}", played.text);
        played
    }

    /// Runs a playbook that may fail.
    ///
    /// # Panics
    /// It shows a secret.
    pub(crate) fn attempt(&self, playbook: &str, options: &[&str]) -> Played {
        self.attempt_by(Core::New, playbook, options)
    }

    fn attempt_by(&self, core: Core, playbook: &str, options: &[&str]) -> Played {
        let began = Instant::now();
        let mut ansible = self.command(core, "ansible-playbook");
        ansible.env("ANSIBLE_LOG_PATH", self.log(playbook));
        ansible.arg("-i").arg(self.inventory());
        ansible
            .arg(format!("{COLLECTION}.{playbook}"))
            .args(options);
        let output = ansible.output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        let took = began.elapsed().as_secs();
        eprintln!("{playbook} {} took {took} s", options.join(" "));
        for secret in self.secrets() {
            assert!(!text.contains(&secret), "{playbook} shows a secret");
        }
        Played {
            good: output.status.success(),
            hosts: recap(&text),
            text,
        }
    }

    /// What `ansible-inventory --list` makes of a source of hosts.
    ///
    /// # Panics
    /// It cannot be read.
    pub(crate) fn listed(&self, source: &str, text: &str) -> Value {
        let file = self.dir.path().join(source);
        std::fs::write(&file, text).unwrap();
        let mut ansible = self.command(Core::New, "ansible-inventory");
        let output = ansible.arg("-i").arg(&file).arg("--list").output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaints}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Consul's management token.
    ///
    /// # Panics
    /// There is none yet.
    pub(crate) fn management_token(&self) -> String {
        let text = std::fs::read_to_string(self.management_token_file()).unwrap();
        text.trim().to_owned()
    }

    /// The file that it is in.
    pub(crate) fn management_token_file(&self) -> PathBuf {
        self.secrets_folder().join("consul-management-token")
    }

    /// The file that the key of the gossip is in.
    pub(crate) fn gossip_key_file(&self) -> PathBuf {
        self.secrets_folder().join("gossip-key")
    }

    /// What must stand in no output and in no journal.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let files = ["consul-management-token", "gossip-key", "pki/ca.key"];
        let read = |file: &str| std::fs::read_to_string(self.secrets_folder().join(file)).ok();
        let text = files.into_iter().filter_map(read);
        let lines = text.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>());
        // Not the frame of a PEM file.
        let lines = lines.filter(|line| line.len() > 20 && !line.starts_with('-'));
        lines.chain(self.known_secrets.iter().cloned()).collect()
    }

    fn secrets_folder(&self) -> PathBuf {
        self.inventory().with_file_name("secrets")
    }

    fn inventory(&self) -> PathBuf {
        self.dir.path().join("inventory/hosts.yml")
    }

    /// Where a play's tasks stand with their times: `target/samples/ansible/03-site.log`.
    fn log(&self, playbook: &str) -> PathBuf {
        let number = self.plays.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = root().join("target/samples/ansible");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{number:02}-{playbook}.log"));
        // Ansible appends.
        let _there_was_none = std::fs::remove_file(&file);
        file
    }

    /// With none of the caller's own settings.
    fn command(&self, core: Core, program: &str) -> Command {
        let tools = root().join(".cache/tools");
        let environment = match (std::env::var_os(OTHER), core) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Core::New) => tools.join("ansible"),
            (None, Core::Old) => tools.join("ansible-2.14"),
        };
        let bin = environment.join("bin");
        let program = bin.join(program);
        assert!(
            program.exists(),
            "{} is missing: run tools/install-deps test",
            program.display()
        );
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ANSIBLE_")) {
            command.env_remove(name);
        }
        let dir = self.dir.path();
        // It starts others by their names.
        let mut path = OsString::from(bin);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .current_dir(dir)
            .env("PATH", path)
            .env("ANSIBLE_HOME", dir.join("home"))
            .env("ANSIBLE_COLLECTIONS_PATH", dir.join("collections"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_FORKS", "7")
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Reads `t1 : ok=3 changed=1 ...` of the last lines.
fn recap(text: &str) -> BTreeMap<String, Recap> {
    let after = text
        .rsplit_once("PLAY RECAP")
        .map_or("", |(_, after)| after);
    let line = |line: &str| {
        let (host, counts) = line.split_once(" : ")?;
        let count = |name: &str| {
            let word = counts.split_whitespace().find_map(|w| w.strip_prefix(name));
            word?.strip_prefix('=')?.parse().ok()
        };
        let recap = Recap {
            changed: count("changed")?,
            failed: count("failed")?,
            rescued: count("rescued")?,
            unreachable: count("unreachable")?,
        };
        Some((host.trim().to_owned(), recap))
    };
    after.lines().filter_map(line).collect()
}
