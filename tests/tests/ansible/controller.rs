//! Where playbooks are run: the collection as it would be installed, an inventory, and the secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rackcast_tests::files::root;
use serde_json::Value;
use tempfile::TempDir;

/// Playbooks by the names that operators use.
const COLLECTION: &str = "rackcast.fleet";

/// The machine that Ansible runs on, which stands beside the hosts.
#[derive(Debug)]
pub(crate) struct Controller {
    dir: TempDir,
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
    /// With the working tree's collection, and no inventory yet.
    pub(crate) fn new(known_secrets: Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let collections = dir.path().join("collections/ansible_collections/rackcast");
        std::fs::create_dir_all(&collections).unwrap();
        symlink(root().join("ansible"), collections.join("fleet")).unwrap();
        std::fs::create_dir(dir.path().join("inventory")).unwrap();
        Self { dir, known_secrets }
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
        let played = self.attempt(playbook, options);
        assert!(played.good, "{playbook} {options:?}:\n{}", played.text);
        played
    }

    /// Runs a playbook that may fail.
    ///
    /// # Panics
    /// It shows a secret.
    pub(crate) fn attempt(&self, playbook: &str, options: &[&str]) -> Played {
        let began = Instant::now();
        let mut ansible = self.command("ansible-playbook");
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
        let mut ansible = self.command("ansible-inventory");
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

    /// As `tools/install-deps test` has installed it, and with none of the caller's own settings.
    fn command(&self, program: &str) -> Command {
        let bin = root().join(".cache/tools/ansible/bin");
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
        command
            .current_dir(dir)
            .env("ANSIBLE_HOME", dir.join("home"))
            .env("ANSIBLE_COLLECTIONS_PATH", dir.join("collections"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_FORKS", "7")
            .env("LC_ALL", "C.UTF-8");
        command
    }
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

/// A folder's file that ends like this.
///
/// # Panics
/// There is none.
pub(crate) fn file_like(folder: &Path, begin: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut files = entries.map(|e| e.path());
    let found = files.find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(begin) && name.ends_with(".deb")
    });
    found.unwrap_or_else(|| panic!("no {begin}*.deb in {}", folder.display()))
}
