//! What Prometheus, dashboards and a load test show of the fleet.

use std::collections::BTreeSet;

use rackcast_tests::http::Http;
use rackcast_tests::wait::wait_for;
use serde_json::Value;
use url::Url;

use crate::inventory::{MONITOR, Role};
use crate::rack::{Rack, SOON};

/// Every daemon and every machine is a target that answers, and each answers as what it is; Prometheus
/// takes every alert rule and every question of the dashboards, and the rules say what they should of
/// figures that no fleet here has.
pub(crate) async fn monitoring_reaches_every_daemon_and_knows_every_alert(rack: &Rack) {
    rack.ready().await;
    let prometheus = Prometheus::of(rack);
    let mut wanted = BTreeSet::new();
    for machine in rack.machines() {
        let mut target = |role: &str| wanted.insert(format!("{role} {}", machine.name));
        target("agent");
        target("node");
        match machine.role {
            Role::Ingest => target("ingest"),
            // Its metrics are for itself alone: the inventory says so.
            Role::Transcode if machine.name != "t1" => target("transcode"),
            _ => false,
        };
    }
    wait_for(&format!("{wanted:?} to be scraped"), SOON, || async {
        let found = prometheus.ask("targets", &[("state", "active")]).await?;
        let targets = found["activeTargets"].as_array()?;
        let all = targets.iter().map(label).collect::<Option<BTreeSet<_>>>()?;
        assert_eq!(all, wanted, "{found}");
        targets.iter().all(|t| t["health"] == "up").then_some(())
    })
    .await;

    // Whoever answers there is who it should be, and of the version that was installed.
    let builds = wait_for("the daemons' versions", SOON, || async {
        let found = prometheus.query("rackcast_build_info").await?;
        let ours = wanted.iter().filter(|t| !t.starts_with("node ")).count();
        let found = found["result"].as_array()?.clone();
        (found.len() >= ours).then_some(found)
    })
    .await;
    for build in &builds {
        let labels = &build["metric"];
        assert_eq!(labels["exported_role"], labels["role"], "{labels}");
        assert!(["north", "south"].contains(&labels["zone"].as_str().unwrap()));
    }

    // What is raised for a moment is pending: the time that its rule takes to believe it is there for
    // a machine that has no processor for a second. Raised for so long, it is an alert.
    let inactive = |r: &Value| {
        assert_ne!(r["state"], "firing", "the fleet is well, and {r}");
        let is_quiet = r["type"] == "recording" || r["state"] == "inactive";
        r["health"] != "unknown" && is_quiet
    };
    let rules = wait_for("every rule to be evaluated, and no alert", SOON, || async {
        let found = prometheus.ask("rules", &[]).await?;
        let rules = found["groups"].as_array()?.iter();
        let rules: Vec<_> = rules
            .flat_map(|g| g["rules"].as_array().cloned().unwrap_or_default())
            .collect();
        (!rules.is_empty() && rules.iter().all(inactive)).then_some(rules)
    })
    .await;
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let monitor = rack.hosts.host(MONITOR);
    monitor.write("/root/rules.test.yml", include_str!("rules.test.yml"));
    monitor.run("promtool test rules /root/rules.test.yml");

    let text = monitor.run("cat /srv/dashboards/*.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|p| p["targets"].as_array());
    for target in targets.flatten() {
        let question = target["expr"].as_str().unwrap();
        let question = question
            .replace("$__rate_interval", "1m")
            .replace("$node", ".*");
        let answer = prometheus.query(&question).await;
        assert!(answer.is_some(), "Prometheus does not take {question}");
    }
}

/// The role publishes streams with the key that the inventory has, watches them, and tells.
pub(crate) async fn a_load_test_tells_what_players_would_see(rack: &Rack) {
    rack.ready().await;
    let played = rack
        .controller
        .play("load_test", &["-e", "load_test_seconds=8", "--limit", "t4"]);
    let seen = played.text.contains("\"gaps\": 0") && !played.text.contains("\"segments\": 0");
    assert!(seen, "{}", played.text);
}

/// The fleet's Prometheus.
pub(crate) struct Prometheus {
    http: Http,
    url: String,
}

impl Prometheus {
    pub(crate) fn of(rack: &Rack) -> Self {
        let address = rack.hosts.host(MONITOR).address();
        Self {
            http: Http::default(),
            url: format!("http://{address}:9090/api/v1"),
        }
    }

    /// Waits until an alert about a machine is raised, if only as pending.
    pub(crate) async fn alerts(&self, name: &str, node: &str) {
        let expression = format!("ALERTS{{alertname=\"{name}\",node=\"{node}\"}}");
        self.until(&format!("{name} of {node}"), &expression, false)
            .await;
    }

    /// Waits until a daemon of a machine is scraped.
    pub(crate) async fn scrapes(&self, role: &str, node: &str) {
        let expression = format!("up{{role=\"{role}\",node=\"{node}\"}} == 1");
        self.until(
            &format!("{role} of {node} to be scraped"),
            &expression,
            false,
        )
        .await;
    }

    /// Waits until a machine is no target any more.
    pub(crate) async fn forgets(&self, node: &str) {
        let expression = format!("up{{node=\"{node}\"}}");
        self.until(&format!("{node} to be forgotten"), &expression, true)
            .await;
    }

    async fn until(&self, what: &str, expression: &str, nothing: bool) {
        wait_for(what, SOON, || async {
            let found = self.query(expression).await?;
            (found["result"].as_array()?.is_empty() == nothing).then_some(())
        })
        .await;
    }

    async fn query(&self, expression: &str) -> Option<Value> {
        self.ask("query", &[("query", expression)]).await
    }

    /// The data of an answer that is a success.
    async fn ask(&self, what: &str, options: &[(&str, &str)]) -> Option<Value> {
        let url = Url::parse_with_params(&format!("{}/{what}", self.url), options).unwrap();
        let answer = self.http.get(url.as_str()).await.ok()?;
        let mut told: Value = serde_json::from_slice(&answer.body).ok()?;
        (told["status"] == "success").then(|| told["data"].take())
    }
}

/// What a target is of, and on which machine.
fn label(target: &Value) -> Option<String> {
    let labels = &target["labels"];
    let (role, node) = (labels["role"].as_str()?, labels["node"].as_str()?);
    Some(format!("{role} {node}"))
}
