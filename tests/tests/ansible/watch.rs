//! What Prometheus, dashboards and a load test show of the fleet.

use std::collections::BTreeSet;

use rackcast_tests::http::Http;
use rackcast_tests::wait::{wait_for, wait_seeing};
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
    // Just started, it has none yet.
    wait_seeing(&format!("{wanted:?} to be scraped"), SOON, || async {
        let found = prometheus.ask("targets", &[("state", "active")]).await?;
        let targets = found["activeTargets"].as_array();
        let targets = targets.into_iter().flatten();
        let all: BTreeSet<_> = targets.clone().filter_map(label).collect();
        let is_up = |target: &Value| target["health"] == "up" && label(target).is_some();
        let good = all == wanted && targets.into_iter().all(is_up);
        good.then_some(()).ok_or_else(|| found.to_string())
    })
    .await;

    // Whoever answers there is who it should be, and of the version that was installed.
    let builds = wait_for("the daemons' versions", SOON, || async {
        let found = prometheus.query("rackcast_build_info").await.ok()?;
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
        let found = prometheus.ask("rules", &[]).await.ok()?;
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
        let what = format!("Prometheus to take {question}");
        wait_seeing(&what, SOON, || prometheus.query(&question)).await;
    }
}

/// The role publishes streams with the key that the inventory has, watches them, and tells.
pub(crate) async fn a_load_test_tells_what_players_would_see(rack: &Rack) {
    rack.ready().await;
    // Pictures that cost little: the publishers encode them, on the processors that transcode them.
    let options = [
        "load_test_seconds=8",
        "load_test_size=320x180",
        "load_test_rate=25",
    ];
    let options: Vec<_> = options.into_iter().flat_map(|o| ["-e", o]).collect();
    let options = [&options[..], &["--limit", "t4"]].concat();
    let played = rack.controller.play("load_test", &options);
    let told = |key: &str| -> Vec<u32> {
        let begin = format!("\"{key}\": ");
        let lines = played.text.lines().map(str::trim);
        let numbers =
            lines.filter_map(|l| l.strip_prefix(&begin)?.trim_end_matches(',').parse().ok());
        numbers.collect()
    };
    let (gaps, segments) = (told("gaps"), told("segments"));
    assert_eq!(gaps, [0; 2], "{}", played.text);
    assert_eq!(segments.len(), gaps.len(), "{}", played.text);
    assert!(segments.iter().all(|s| *s > 0), "{}", played.text);
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
        wait_seeing(what, SOON, || async {
            let found = self.query(expression).await?;
            let series = found["result"].as_array();
            let is_so = series.is_some_and(|series| series.is_empty() == nothing);
            is_so.then_some(()).ok_or_else(|| found.to_string())
        })
        .await;
    }

    async fn query(&self, expression: &str) -> Result<Value, String> {
        self.ask("query", &[("query", expression)]).await
    }

    /// The data of an answer that is a success.
    async fn ask(&self, what: &str, options: &[(&str, &str)]) -> Result<Value, String> {
        let url = Url::parse_with_params(&format!("{}/{what}", self.url), options).unwrap();
        let answer = self.http.get(url.as_str()).await?;
        let told = serde_json::from_slice(&answer.body);
        let mut told: Value = told.map_err(|e| format!("{e}: {:?}", answer.body))?;
        match told["status"] == "success" {
            true => Ok(told["data"].take()),
            false => Err(told.to_string()),
        }
    }
}

/// What a target is of, and on which machine.
fn label(target: &Value) -> Option<String> {
    let labels = &target["labels"];
    let (role, node) = (labels["role"].as_str()?, labels["node"].as_str()?);
    Some(format!("{role} {node}"))
}
