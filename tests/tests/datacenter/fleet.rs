//! The Rackcast services of the datacenter's machines.

use std::process::Command;
use std::time::Duration;

use http::Method;
use rackcast_tests::datacenter::Datacenter;
use rackcast_tests::fleet::cheap;
use rackcast_tests::process::{Process, program};
use rackcast_tests::wait::wait_for;
use serde_json::Value;

/// A service under our name that is none of ours.
const STRANGER: &str = "rackcast-ingest-lab";
/// How long daemons may take to start and to be found.
pub(crate) const START: Duration = Duration::from_secs(60);

/// A daemon on a machine.
#[derive(Debug)]
pub(crate) struct Daemon {
    _process: Process,
}

impl Daemon {
    /// Starts `rackcast-<role>` on a machine, in a zone that is named after it.
    pub(crate) fn start(dc: &Datacenter, machine: u8, role: &str, extra: &str) -> Self {
        let folder = dc.home(machine).join(role);
        std::fs::create_dir_all(&folder).unwrap();
        let run = dc.home(machine).join("run");
        std::fs::create_dir_all(&run).unwrap();
        let socket = run.join(format!("{role}.sock"));
        let own = match role {
            "ingest" => format!("state_dir = {:?}\n", folder.join("state")),
            "agent" => format!("socket_dir = {run:?}\n"),
            _ => String::new(),
        };
        let zone = if role == "transcode" {
            String::new()
        } else {
            format!("zone = \"z{machine}\"\n")
        };
        let consul = dc.consul_table(machine, role);
        let config = format!(
            "node = \"m{machine}\"\n{zone}status_socket = {socket:?}\n{own}{consul}{extra}\n"
        );
        let file = folder.join(format!("{role}.toml"));
        std::fs::write(&file, config).unwrap();
        let mut command = dc.network.on(machine, program(&format!("rackcast-{role}")));
        let process = Process::start(command.arg("--config").arg(&file));
        Self { _process: process }
    }
}

/// An agent and an ingest on each of these machines.
pub(crate) fn ingests(dc: &Datacenter, machines: &[u8]) -> Vec<Daemon> {
    let daemons = |m: &u8| {
        [
            Daemon::start(dc, *m, "ingest", "[auth]\nmode = \"open\""),
            Daemon::start(dc, *m, "agent", ""),
        ]
    };
    machines.iter().flat_map(daemons).collect()
}

/// An agent and a transcode node on a machine.
pub(crate) fn transcoder(dc: &Datacenter, machine: u8) -> Vec<Daemon> {
    vec![
        Daemon::start(dc, machine, "transcode", &cheap(1)),
        Daemon::start(dc, machine, "agent", ""),
    ]
}

/// Our instances of a service that a machine's Consul would give out, by ID: none of their checks
/// is critical.
pub(crate) async fn healthy(dc: &Datacenter, machine: u8, service: &str) -> Option<Vec<Value>> {
    let found = dc
        .get(machine, &format!("/v1/health/service/{service}"))
        .await?;
    let critical = |check: &Value| check["Status"] == "critical";
    let mut healthy: Vec<Value> = found
        .as_array()?
        .iter()
        .filter(|entry| {
            !entry["Checks"]
                .as_array()
                .is_some_and(|c| c.iter().any(critical))
        })
        .map(|entry| entry["Service"].clone())
        .filter(|service| service["ID"] != STRANGER)
        .collect();
    healthy.sort_by_key(|service| service["ID"].to_string());
    Some(healthy)
}

/// Waits until so many instances are healthy, as a machine sees it.
pub(crate) async fn until_healthy(
    dc: &Datacenter,
    machine: u8,
    service: &str,
    count: usize,
    limit: Duration,
) -> Vec<Value> {
    wait_for(&format!("{count} healthy {service}"), limit, || async {
        healthy(dc, machine, service)
            .await
            .filter(|found| found.len() == count)
    })
    .await
}

/// Registers a service that is none of ours, by hand, on each machine.
pub(crate) async fn strangers(dc: &Datacenter, machines: &[u8]) {
    for machine in machines {
        for body in [
            r#"{ "Name": "postgres", "ID": "postgres", "Port": 5432, "Meta": { "team": "db" } }"#,
            // Even one under our names belongs to whoever registered it.
            r#"{ "Name": "rackcast-ingest", "ID": "rackcast-ingest-lab", "Port": 1,
                 "Meta": { "rackcast-owner": "somebody-else" },
                 "Check": { "CheckID": "lab", "TTL": "24h", "Status": "warning" } }"#,
        ] {
            let path = "/v1/agent/service/register";
            let reply = dc.root(*machine, Method::PUT, path, body).await.unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
    }
}

/// What the catalog says of the strangers: it must never change.
pub(crate) async fn said_of_strangers(dc: &Datacenter, machine: u8) -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for service in ["postgres", "rackcast-ingest"] {
        let path = format!("/v1/catalog/service/{service}");
        all.extend(dc.get(machine, &path).await?.as_array()?.clone());
    }
    all.retain(|s| s["ServiceID"] == "postgres" || s["ServiceID"] == STRANGER);
    all.sort_by_key(|s| format!("{} {}", s["Node"], s["ServiceID"]));
    let essence = |s: &Value| {
        let fields = [
            "Node",
            "ServiceID",
            "ServicePort",
            "ServiceMeta",
            "ServiceTags",
        ];
        fields.iter().map(|f| s[*f].clone()).collect()
    };
    Some(all.iter().map(essence).collect())
}

/// A program's output, run to its end.
pub(crate) fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}
