//! The mixed fleet, as an operator would write it down.

use rackcast_tests::hosts::{Hosts, Suite};
use serde_json::{Value, json};

/// A machine that is in the fleet, or shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    pub(crate) suite: Suite,
    pub(crate) zone: &'static str,
    pub(crate) role: Role,
    /// Room on its disk in MiB, where it is to be filled.
    pub(crate) disk: Option<u32>,
}

/// What a machine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A Consul server, and Prometheus.
    Consul,
    Ingest,
    Transcode,
}

const fn machine(name: &'static str, suite: Suite, zone: &'static str, role: Role) -> Machine {
    Machine {
        name,
        suite,
        zone,
        role,
        disk: None,
    }
}

/// The fleet: Debian 12 and 13, two zones.
pub(crate) const FLEET: [Machine; 6] = [
    machine("c1", Suite::Bookworm, "north", Role::Consul),
    machine("i1", Suite::Trixie, "north", Role::Ingest),
    machine("t1", Suite::Bookworm, "north", Role::Transcode),
    machine("t2", Suite::Trixie, "north", Role::Transcode),
    machine("t3", Suite::Bookworm, "south", Role::Transcode),
    Machine {
        disk: Some(1200),
        ..machine("t4", Suite::Trixie, "south", Role::Transcode)
    },
];

/// A bare machine that is added later.
pub(crate) const NEW: Machine = machine("t5", Suite::Trixie, "south", Role::Transcode);

/// Consul's servers: with one lost there is still a leader.
const SERVERS: [&str; 3] = ["c1", "i1", "t1"];

/// Where Prometheus is.
pub(crate) const MONITOR: &str = "c1";

/// The key that publishers need.
pub(crate) const STREAM_KEY: &str = "a-key-of-the-tests-3f9c1e";

/// Pictures that cost little.
const LADDER: &str = "180p:180@300k,low:120@150k";

/// Nothing is ever lost here; that a segment is late is no fault of ours where eight hosts share the
/// processors with plays. How late it may be is for the end-to-end tests, which keep the deadline that
/// there is.
const DEADLINE_TARGETS: f64 = 4.0;

/// What the inventory needs to know of the world, and of the story.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Keys are changed that a reload does not put in force.
    pub(crate) retuned: bool,
    pub(crate) hosts: &'a Hosts,
    pub(crate) repository_key: &'a str,
    /// Packages of Consul, for a machine that gets it from files.
    pub(crate) consul_debs: &'a [String],
}

/// The inventory of these machines, which have packages of this version.
pub(crate) fn inventory(machines: &[Machine], version: &str, place: &Place<'_>) -> Value {
    let group = |wanted: &dyn Fn(&Machine) -> bool| {
        let ours = machines.iter().filter(|m| wanted(m));
        let hosts: serde_json::Map<_, _> = ours
            .map(|m| (m.name.to_owned(), variables(m, place)))
            .collect();
        json!({ "hosts": hosts })
    };
    let mut transcode = group(&|m| m.role == Role::Transcode);
    let warm = if place.retuned { 3 } else { 4 };
    transcode["vars"] = json!({
        "transcode_gpu": "none",
        "transcode_config": {
            "worker": {"count": 1, "warm_pipelines": warm},
            "encoder": {"preset": "ultrafast"},
        },
    });
    let mut ingest = group(&|m| m.role == Role::Ingest);
    ingest["vars"] = json!({
        "ingest_ladder": LADDER,
        "ingest_streams": [{"app": "live", "key": STREAM_KEY}],
        "ingest_config": {
            "http": {"max_connections": if place.retuned { 4_000 } else { 5_000 }},
            "stream": {"deadline_targets": DEADLINE_TARGETS},
        },
    });
    json!({
        "rackcast": {
            "vars": {
                "ansible_user": "root",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_common_args": format!("-F {}", place.hosts.ssh_config().display()),
                "rackcast_repo_url": format!("http://{}/rackcast", place.hosts.gateway()),
                "rackcast_repo_key": place.repository_key,
                "rackcast_version": version,
                "rackcast_trust_domain": "fleet.test",
                "rackcast_admin_address": "{{ ansible_host }}",
                "consul_source": "repository",
                "consul_dns": "resolved",
                "monitoring_interval": "2s",
                "monitoring_dashboards_dir": "/srv/dashboards",
            },
            "children": {
                "consul_servers": group(&|m| SERVERS.contains(&m.name)),
                "ingest": ingest,
                "transcode": transcode,
                "monitoring": group(&|m| m.name == MONITOR),
            },
        },
    })
}

fn variables(machine: &Machine, place: &Place<'_>) -> Value {
    let address = place.hosts.host(machine.name).address().to_string();
    let mut variables = json!({"ansible_host": address, "rackcast_zone": machine.zone});
    match machine.name {
        // Its UI and its DNS are there for operators.
        "c1" => {
            let both = format!("127.0.0.1 {address}");
            variables["consul_config"] = json!({"addresses": {"http": both, "dns": both}});
        }
        // What Consul's agent asks it then goes over loopback alone.
        "t1" => variables["transcode_admin"] = json!("127.0.0.1:9612"),
        "t3" => {
            variables["consul_source"] = json!("deb");
            variables["consul_debs"] = json!(place.consul_debs);
        }
        _ => {}
    }
    variables
}
