//! What the stories share: seven hosts of which six are the fleet, a package repository, and the
//! machine that Ansible runs on.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rackcast_tests::explain::Explain;
use rackcast_tests::hosts::{Ground, Host, Stage, Version, at_once};
use rackcast_tests::http::{Answer, Http};
use rackcast_tests::publish::Sample;
use rackcast_tests::show::Shows;
use rackcast_tests::wait::wait_seeing;
use serde_json::Value;

use crate::controller::Controller;
use crate::inventory::{FLEET, Machine, NEW, Place, Role, STREAM_KEY, inventory};

/// What starts, or comes back, does so within this. Consul takes 25 s at times to believe that a host
/// whose cable was out is there again.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// All of it; ends when dropped.
pub(crate) struct Rack {
    // In the order in which they end.
    pub(crate) controller: Controller,
    ground: Ground,
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
    retuned: bool,
    /// A story failed, and left the fleet as it was then.
    untidy: bool,
    /// The story in which the fleet should have come up, and did not.
    failed: Option<&'static str>,
}

impl Deref for Rack {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Stage for Rack {
    /// Nothing of ours is installed yet.
    fn up() -> Self {
        let all = FLEET.iter().chain([&NEW]);
        let hosts: Vec<_> = all.map(|m| (m.name, m.suite, m.disk)).collect();
        let ground = Ground::lay(&hosts);
        for host in ground.hosts.all() {
            host.write("/etc/apt/sources.list", &ground.sources(host));
        }
        let rack = Self {
            controller: Controller::new(vec![STREAM_KEY.to_owned()]),
            consul_debs: ground.consul_debs().map(|p| p.display().to_string()).into(),
            ground,
            state: Mutex::new(State {
                machines: FLEET.into(),
                version: Version::First,
                in_service: false,
                retuned: false,
                untidy: false,
                failed: None,
            }),
            http: Http::default(),
        };
        rack.write_down();
        rack
    }

    fn cast(&self) -> Vec<&Host> {
        let machines = self.machines();
        machines.iter().map(|m| self.hosts.host(m.name)).collect()
    }

    fn failed(&self, story: &'static str) {
        let mut state = self.state();
        state.untidy = true;
        state.failed = (!state.in_service).then_some(story);
    }

    fn lost(&self) -> Option<String> {
        let failed = self.state().failed?;
        Some(format!("the fleet never came up in {failed}"))
    }
}

impl Rack {
    /// Does something on all hosts of the fleet at once; what came of it.
    pub(crate) fn each<T: Send>(&self, work: impl Fn(&Host) -> T + Sync) -> Vec<T> {
        at_once(self.cast(), work)
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

    /// The inventory has other values for keys that a reload does not put in force.
    pub(crate) fn retune(&self) {
        self.state().retuned = true;
        self.write_down();
    }

    fn write_down(&self) {
        let key = self
            .repository
            .folder()
            .join("rackcast-archive-keyring.gpg");
        let state = self.state();
        let place = Place {
            retuned: state.retuned,
            hosts: &self.hosts,
            repository_key: &key.display().to_string(),
            consul_debs: &self.consul_debs,
        };
        let plan = inventory(&state.machines, state.version.text(), &place);
        self.controller.know(&plan);
    }

    /// A story that is told alone begins with a fleet all the same, and one that follows a failure with a
    /// fleet that is whole.
    pub(crate) async fn ready(&self) {
        if !self.state().in_service {
            self.controller.play("site", &[]);
            self.state().in_service = true;
        }
        if std::mem::take(&mut self.state().untidy) {
            self.tidy();
        }
        self.all_pass().await;
    }

    /// Undoes what a story that failed had done to hosts, as far as an operator could.
    fn tidy(&self) {
        self.each(|host| {
            host.mend();
            host.attempt(
                "rm -f /filled /more; systemctl reset-failed; \
                 ! command -v rackcast >/dev/null || rackcast resume",
            );
        });
        // Where that fails too, the fleet may still be whole: the story that comes finds out.
        let played = self.controller.attempt("site", &[]);
        if !played.good {
            eprintln!("the fleet cannot be made whole:\n{}", played.text);
        }
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

    /// Waits until Consul finds every service of the fleet fit, and none else, and the ingest goes by
    /// that: one that was just started publishes gaps until it knows a node.
    pub(crate) async fn all_pass(&self) {
        for (service, role) in [("ingest", Role::Ingest), ("transcode", Role::Transcode)] {
            let wanted = self.names(role);
            self.passing(service, &wanted).await;
        }
        let nodes = self.names(Role::Transcode);
        self.explain().goes_by(&nodes, SOON).await;
    }

    /// What the ingest says of its decisions.
    pub(crate) fn explain(&self) -> Explain {
        let address = self.hosts.host("i1").address();
        Explain::at(&format!("http://{address}:9611"))
    }

    /// Waits until exactly these hosts have this service, and it passes.
    pub(crate) async fn passing(&self, service: &str, wanted: &BTreeSet<String>) {
        let path = format!("/v1/health/service/rackcast-{service}?passing");
        self.consul_until(&format!("{wanted:?} to pass"), &path, |found| {
            let nodes = found.as_array()?.iter();
            let nodes: BTreeSet<_> = nodes
                .filter_map(|i| Some(i["Node"]["Node"].as_str()?.to_owned()))
                .collect();
            (nodes == *wanted).then_some(())
        })
        .await;
    }

    /// What Consul's server answers to its manager. It is asked again while it has no answer: while it
    /// elects a leader, and while a member that it asks in its turn is late.
    pub(crate) async fn consul(&self, path: &str) -> Value {
        let what = format!("Consul to answer {path}");
        self.consul_until(&what, path, |found| Some(found.clone()))
            .await
    }

    /// Asks Consul's server until its answer is one that something can be made of.
    pub(crate) async fn consul_until<T>(
        &self,
        what: &str,
        path: &str,
        make: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let token = self.controller.management_token();
        wait_seeing(what, SOON, || async {
            let answer = self.ask_consul(Method::GET, path, Some(&token)).await?;
            let told = String::from_utf8_lossy(&answer.body);
            match serde_json::from_slice(&answer.body) {
                Ok(found) if answer.status == 200 => make(&found).ok_or_else(|| told.into_owned()),
                _ => Err(format!("{}: {told}", answer.status)),
            }
        })
        .await
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
    pub(crate) async fn shows<const N: usize>(&self, names: [&str; N]) -> Shows {
        let address = self.hosts.host("i1").address().to_string();
        let shows = shows_at(&address, names).await;
        shows.go_on(2).await;
        shows
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Streams published to an ingest's address and watched there.
pub(crate) async fn shows_at<const N: usize>(address: &str, names: [&str; N]) -> Shows {
    let addresses = names.map(|name| {
        let publish_to = format!("rtmp://{address}:1935/live/{name}?key={STREAM_KEY}");
        let master = format!("http://{address}:8080/live/{name}/master.m3u8");
        (publish_to, master)
    });
    Shows::begin(&Sample::long().file(), &addresses).await
}
