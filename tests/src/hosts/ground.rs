//! What stories on hosts need of the world: a network with repositories of packages, hosts on it, and
//! a place for publishers and players beside them.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Host, Hosts, Repository, Suite, Version};

/// The packages that make a host a node.
pub const PACKAGES: [&str; 3] = ["rackcast-agent", "rackcast-ingest", "rackcast-transcode"];

/// What else hosts install: Consul, and of Debian what plays and stories ask for. One list for all
/// programs, so that one mirror serves them.
const OTHERS: [&str; 7] = [
    "consul",
    "ca-certificates",
    "ffmpeg",
    "openssl",
    "prometheus",
    "prometheus-node-exporter",
    "systemd-resolved",
];

/// Of which Debians hosts are.
const SUITES: [Suite; 2] = [Suite::Bookworm, Suite::Trixie];

/// Hosts, and all that they can reach. Ends when dropped.
#[derive(Debug)]
pub struct Ground {
    // In the order in which they end.
    /// Our packages.
    pub repository: Repository,
    /// The hosts, which run nothing of ours yet.
    pub hosts: Hosts,
    runtime: Option<Runtime>,
    consul: PathBuf,
    _served: TempDir,
}

impl Ground {
    /// Boots hosts (some with a disk of so many MiB), and takes this thread to their network.
    ///
    /// # Panics
    /// Something cannot be fetched, packaged or booted.
    pub fn lay(hosts: &[(&str, Suite, Option<u32>)]) -> Self {
        // Fetched before the hosts' network, which knows no other, is entered.
        let (repository, consul) = std::thread::scope(|scope| {
            let trees = scope.spawn(|| Hosts::trees(&SUITES));
            let consul = scope.spawn(Hosts::consul);
            let repository = Repository::build();
            trees.join().unwrap();
            (repository, consul.join().unwrap())
        });
        let packages = repository.packages(Version::First);
        let served = tempfile::tempdir().unwrap();
        let link = |name: &str, to: PathBuf| {
            std::os::unix::fs::symlink(to, served.path().join(name)).unwrap();
        };
        std::thread::scope(|scope| {
            for suite in SUITES {
                let ours = [packages.as_path(), consul.as_path()];
                let wanted: Vec<_> = PACKAGES.into_iter().chain(OTHERS).collect();
                let link = &link;
                scope.spawn(move || link(suite.name(), Hosts::mirror(suite, &ours, &wanted)));
            }
        });
        link("consul", consul.clone());
        link("rackcast", repository.folder());

        let hosts = Hosts::up(hosts);
        hosts.serve(served.path());
        Self {
            repository,
            hosts,
            // Its threads are on the hosts' network, like this one.
            runtime: Some(Runtime::new().unwrap()),
            consul,
            _served: served,
        }
    }

    /// What runs everything that is beside the hosts.
    ///
    /// # Panics
    /// Never: it is there until the end.
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it ends when this is dropped")
    }

    /// Consul's packages: what it needs first, then itself.
    ///
    /// # Panics
    /// They are not there.
    pub fn consul_debs(&self) -> [PathBuf; 2] {
        let entries = std::fs::read_dir(&self.consul).unwrap().flatten();
        let files: Vec<_> = entries.map(|e| e.path()).collect();
        ["pipexec_", "consul_"].map(|begin| {
            let named = |path: &&PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(begin) && name.ends_with(".deb")
            };
            let found = files.iter().find(named);
            let found = found.unwrap_or_else(|| panic!("no {begin}*.deb in {files:?}"));
            found.clone()
        })
    }

    /// Where apt finds Debian itself and Consul, as far as they are needed: what an installer would
    /// have left on a host.
    pub fn sources(&self, host: &Host) -> String {
        let (gateway, suite) = (self.hosts.gateway(), host.suite().name());
        format!(
            "deb [trusted=yes] http://{gateway}/{suite} ./\n\
             deb [trusted=yes] http://{gateway}/consul ./\n"
        )
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Not within another runtime's thread, and not waiting for what a story left running.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does something on hosts, on all at once; what came of it, in their order.
///
/// # Panics
/// It panics on one of them.
pub fn at_once<'a, T: Send>(
    hosts: impl IntoIterator<Item = &'a Host>,
    work: impl Fn(&Host) -> T + Sync,
) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let begin = |host| scope.spawn(move || work(host));
        let begun: Vec<_> = hosts.into_iter().map(begin).collect();
        begun.into_iter().map(|t| t.join().unwrap()).collect()
    })
}
