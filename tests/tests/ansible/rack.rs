//! What the stories share: seven hosts of which six are the fleet, a package repository, and the
//! machine that Ansible runs on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rackcast_tests::hosts::{Host, Hosts, Repository, Suite, Version};
use rackcast_tests::http::{Answer, Http};
use rackcast_tests::publish::Sample;
use rackcast_tests::show::Show;
use rackcast_tests::wait::wait_for;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::Story;
use crate::controller::{Controller, file_like};
use crate::inventory::{FLEET, Machine, NEW, Place, Role, STREAM_KEY, inventory, sources};

/// What starts, or comes back, does so within this. Consul takes 25 s at times to believe that a host
/// whose cable was out is there again.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// What hosts install from Debian itself.
const OF_DEBIAN: [&str; 3] = ["openssl", "ca-certificates", "systemd-resolved"];

/// All of it; ends when dropped.
pub(crate) struct Rack {
    // In the order in which they end.
    pub(crate) controller: Controller,
    pub(crate) repository: Repository,
    pub(crate) hosts: Hosts,
    runtime: Option<Runtime>,
    _served: tempfile::TempDir,
    consul_debs: Vec<String>,
    state: Mutex<State>,
    http: Http,
}

/// Where the story stands.
#[derive(Debug)]
struct State {
    machines: Vec<Machine>,
    version: Version,
    in_service: bool,
    failed: Option<&'static str>,
}

impl Rack {
    /// Boots it; nothing of ours is installed yet.
    pub(crate) fn up() -> Self {
        // Fetched before the hosts' network, which knows no other, is entered.
        let repository = Repository::build();
        let served = tempfile::tempdir().unwrap();
        let link = |name: &str, to: PathBuf| {
            std::os::unix::fs::symlink(to, served.path().join(name)).unwrap();
        };
        let packages = repository.packages(Version::First);
        let consul = Hosts::consul();
        for suite in [Suite::Bookworm, Suite::Trixie] {
            let ours = [packages.as_path(), consul.as_path()];
            let wanted = ["rackcast-agent", "rackcast-ingest", "rackcast-transcode"];
            let wanted: Vec<_> = wanted
                .into_iter()
                .chain(["consul"])
                .chain(OF_DEBIAN)
                .collect();
            link(suite.name(), Hosts::mirror(suite, &ours, &wanted));
        }
        let consul_debs = ["pipexec_", "consul_"].map(|begin| file_like(&consul, begin));
        let consul_debs = consul_debs.map(|path| path.display().to_string());
        link("consul", consul);
        link("rackcast", repository.folder());

        let all = FLEET.iter().chain([&NEW]);
        let hosts: Vec<_> = all.map(|m| (m.name, m.suite, m.disk)).collect();
        let hosts = Hosts::up_with_disks(&hosts);
        hosts.serve(served.path());
        for host in hosts.all() {
            host.write("/etc/apt/sources.list", &sources(host, hosts.gateway()));
        }
        let rack = Self {
            controller: Controller::new(vec![STREAM_KEY.to_owned()]),
            repository,
            hosts,
            runtime: Some(Runtime::new().unwrap()),
            _served: served,
            consul_debs: consul_debs.into(),
            state: Mutex::new(State {
                machines: FLEET.into(),
                version: Version::First,
                in_service: false,
                failed: None,
            }),
            http: Http::default(),
        };
        rack.write_down();
        rack
    }

    /// Tells a story, unless there is no fleet for it.
    pub(crate) fn tell(&self, story: Story) -> Result<(), String> {
        if let Some(failed) = self.state().failed {
            return Err(format!("not told: the fleet never came up in {failed}"));
        }
        let runtime = self.runtime.as_ref().unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on((story.tell)(self));
        }));
        if let Err(panic) = result {
            let mut state = self.state();
            state.failed = (!state.in_service).then_some(story.name);
            drop(state);
            self.each(|host| eprintln!("--- {}\n{}", host.name(), host.last_words()));
            std::panic::resume_unwind(panic);
        }
        Ok(())
    }

    /// Does something on all hosts of the fleet at once; what came of it.
    pub(crate) fn each<T: Send>(&self, work: impl Fn(&Host) -> T + Sync) -> Vec<T> {
        let machines = self.state().machines.clone();
        std::thread::scope(|scope| {
            let work = &work;
            let hosts = machines.iter().map(|m| self.hosts.host(m.name));
            let begun: Vec<_> = hosts.map(|host| scope.spawn(move || work(host))).collect();
            begun.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    /// The fleet, as the inventory has it.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        self.state().machines.clone()
    }

    /// Changes the inventory.
    pub(crate) fn replan(&self, change: impl FnOnce(&mut Vec<Machine>)) {
        change(&mut self.state().machines);
        self.write_down();
    }

    /// The inventory says this version from now on.
    pub(crate) fn pin(&self, version: Version) {
        self.state().version = version;
        self.write_down();
    }

    fn write_down(&self) {
        let key = self
            .repository
            .folder()
            .join("rackcast-archive-keyring.gpg");
        let state = self.state();
        let place = Place {
            hosts: &self.hosts,
            repository_key: &key.display().to_string(),
            consul_debs: &self.consul_debs,
        };
        let plan = inventory(&state.machines, state.version.text(), &place);
        self.controller.know(&plan);
    }

    /// A story that is told alone begins with a fleet all the same.
    pub(crate) async fn ready(&self) {
        if !self.state().in_service {
            self.controller.play("site", &[]);
            self.state().in_service = true;
        }
        self.all_pass().await;
    }

    /// The fleet is in service.
    pub(crate) fn is_ready(&self) {
        self.state().in_service = true;
    }

    /// Names of the hosts of the fleet that have this role.
    pub(crate) fn names(&self, role: Role) -> BTreeSet<String> {
        let machines = self.machines();
        let ours = machines.iter().filter(|m| m.role == role);
        ours.map(|m| m.name.to_owned()).collect()
    }

    /// Waits until Consul finds every service of the fleet fit, and none else.
    pub(crate) async fn all_pass(&self) {
        for (service, role) in [("ingest", Role::Ingest), ("transcode", Role::Transcode)] {
            let wanted = self.names(role);
            self.passing(service, &wanted).await;
        }
    }

    /// Waits until exactly these hosts have this service, and it passes.
    pub(crate) async fn passing(&self, service: &str, wanted: &BTreeSet<String>) {
        let path = format!("/v1/health/service/rackcast-{service}?passing");
        wait_for(&format!("{wanted:?} to pass"), SOON, || async {
            let found = self.consul(&path).await;
            let nodes = found.as_array()?.iter();
            let nodes: BTreeSet<_> = nodes
                .filter_map(|i| Some(i["Node"]["Node"].as_str()?.to_owned()))
                .collect();
            (nodes == *wanted).then_some(())
        })
        .await;
    }

    /// What Consul's server answers to its manager; null where that is no JSON.
    pub(crate) async fn consul(&self, path: &str) -> Value {
        let token = self.controller.management_token();
        let answer = self.ask_consul(Method::GET, path, Some(&token)).await;
        answer.map_or(Value::Null, |answer| {
            serde_json::from_slice(&answer.body).unwrap_or_default()
        })
    }

    /// Asks Consul's server as somebody with this token, or with none.
    pub(crate) async fn ask_consul(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
    ) -> Result<Answer, String> {
        let url = format!("http://{}:8500{path}", self.hosts.host("c1").address());
        let headers: Vec<_> = token.map(|t| ("x-consul-token", t)).into_iter().collect();
        self.http.send(method, &url, &headers, Bytes::new()).await
    }

    /// Streams of these names, published to the ingest and watched.
    pub(crate) async fn shows<const N: usize>(&self, names: [&str; N]) -> Vec<Show> {
        let address = self.hosts.host("i1").address().to_string();
        let mut shows = Vec::new();
        for name in names {
            shows.push(show_at(&address, name).await);
        }
        for show in &shows {
            show.goes_on(2).await;
        }
        shows
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        // Not within another runtime's thread, and not waiting for what a story left running.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A stream published to an ingest's address and watched there.
pub(crate) async fn show_at(address: &str, name: &str) -> Show {
    let publish_to = format!("rtmp://{address}:1935/live/{name}?key={STREAM_KEY}");
    let master = format!("http://{address}:8080/live/{name}/master.m3u8");
    Show::begin(&Sample::long().file(), &publish_to, &master).await
}

/// All go on, and nothing was lost.
pub(crate) async fn end_unharmed(shows: Vec<Show>) {
    for show in &shows {
        show.goes_on(2).await;
    }
    for show in shows {
        show.end_unharmed().await;
    }
}
