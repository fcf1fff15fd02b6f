//! Health checks: what they start as, what changes them, and what they do to a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::{Consul, Took, eventually};

/// The state of a check, as the servers know it.
async fn state(consul: &Consul, service: &str, check: &str) -> String {
    let checks = consul
        .get(&format!("/v1/health/checks/{service}"))
        .await
        .json();
    let found = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["CheckID"] == check);
    found
        .map_or("absent", |c| c["Status"].as_str().unwrap())
        .to_owned()
}

async fn becomes(consul: &Consul, service: &str, check: &str, wanted: &str) -> Took {
    let what = format!("{check} is {wanted}");
    eventually(&what, || async {
        state(consul, service, check).await == wanted
    })
    .await
}

pub async fn new_checks_are_critical_unless_told(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "ini", "Name": "ini", "Checks": [
            { "CheckID": "ini:ttl", "Name": "ttl", "TTL": "60s" },
            { "CheckID": "ini:told", "Name": "told", "TTL": "60s", "Status": "passing" },
            { "CheckID": "ini:http", "Name": "http", "HTTP": "http://127.0.0.1:1/", "Interval": "60s", "Timeout": "1s" },
            { "CheckID": "ini:tcp", "Name": "tcp", "TCP": "127.0.0.1:1", "Interval": "60s", "Status": "warning" },
        ] }))
        .await;
    let checks = consul.get("/v1/agent/checks").await.json();
    let is = |check: &str| {
        (
            checks[check]["Type"].clone(),
            checks[check]["Status"].clone(),
        )
    };
    assert_eq!(is("ini:ttl"), (json!("ttl"), json!("critical")));
    assert_eq!(is("ini:told"), (json!("ttl"), json!("passing")));
    assert_eq!(is("ini:http").0, "http");
    assert_eq!(is("ini:tcp").0, "tcp");
    assert_eq!(checks["ini:ttl"]["ServiceID"], "ini");
    assert_eq!(checks["ini:ttl"]["ServiceName"], "ini");
}

pub async fn registering_again_keeps_the_status(consul: Arc<Consul>) {
    let service = |tag: &str, checks: Value| json!({ "ID": "again", "Name": "again", "Tags": [tag], "Checks": checks });
    let one = json!({ "CheckID": "again:1", "Name": "one", "TTL": "60s" });
    let two = json!({ "CheckID": "again:2", "Name": "two", "TTL": "60s" });
    consul.register(&service("v1", json!([one, two]))).await;
    consul.put("/v1/agent/check/pass/again:1", "").await;
    becomes(&consul, "again", "again:1", "passing").await;

    let body = service("v2", json!([one])).to_string();
    let path = "/v1/agent/service/register?replace-existing-checks=true";
    assert_eq!(consul.put(path, body).await.status, 200);
    let checks = consul.get("/v1/agent/checks").await.json();
    assert_eq!(checks["again:1"]["Status"], "passing");
    assert!(checks.get("again:2").is_none());
    becomes(&consul, "again", "again:2", "absent").await;
    assert_eq!(state(&consul, "again", "again:1").await, "passing");
}

pub async fn a_ttl_expires(consul: Arc<Consul>) {
    consul
        .register(
            &json!({ "ID": "ttl", "Name": "ttl", "Check": { "CheckID": "ttl:c", "TTL": "4s" } }),
        )
        .await;
    let ttl = Duration::from_secs(4);
    let start = Instant::now();
    let mut put = start;
    while start.elapsed() < ttl + Duration::from_secs(1) {
        put = Instant::now();
        consul.put("/v1/agent/check/pass/ttl:c", "").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(state(&consul, "ttl", "ttl:c").await, "passing");
    }
    becomes(&consul, "ttl", "ttl:c", "critical").await;
    let silent = put.elapsed();
    assert!(silent >= ttl && silent < 4 * ttl, "{silent:?}");
    let check = consul.get("/v1/agent/checks").await.json()["ttl:c"].clone();
    assert!(check["Output"].as_str().unwrap().contains("TTL expired"));
}

pub async fn reports_set_the_state_and_the_aggregate(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "agg-1", "Name": "agg", "Checks": [
            { "CheckID": "agg:a", "TTL": "60s", "Status": "passing" },
            { "CheckID": "agg:b", "TTL": "60s" },
        ] }))
        .await;
    let by_id = "/v1/agent/health/service/id/agg-1";
    let by_name = "/v1/agent/health/service/name/agg";
    for (verb, status, state) in [
        ("pass", 200, "passing"),
        ("warn", 429, "warning"),
        ("fail", 503, "critical"),
    ] {
        assert_eq!(
            consul
                .put(&format!("/v1/agent/check/{verb}/agg:b?note=n"), "")
                .await
                .status,
            200
        );
        let reply = consul.get(by_id).await;
        assert_eq!(
            (reply.status, &reply.json()["AggregatedStatus"]),
            (status, &json!(state))
        );
        let reply = consul.get(by_name).await;
        assert_eq!(
            (reply.status, &reply.json()[0]["AggregatedStatus"]),
            (status, &json!(state))
        );
        let text = consul.get(&format!("{by_id}?format=text")).await;
        assert_eq!((text.status, text.text().as_str()), (status, state));
    }
    let update = json!({ "Status": "passing", "Output": "3 devices" }).to_string();
    assert_eq!(
        consul
            .put("/v1/agent/check/update/agg:b", update)
            .await
            .status,
        200
    );
    let check = consul.get("/v1/agent/checks").await.json()["agg:b"].clone();
    assert_eq!(
        (&check["Status"], &check["Output"]),
        (&json!("passing"), &json!("3 devices"))
    );
    assert_eq!(
        consul
            .get("/v1/agent/health/service/id/nobody")
            .await
            .status,
        404
    );
    assert_eq!(
        consul
            .get("/v1/agent/health/service/name/nobody")
            .await
            .status,
        404
    );
}

pub async fn health_is_filtered(consul: Arc<Consul>) {
    for state in ["passing", "warning", "critical"] {
        consul
            .register(&json!({ "ID": format!("flt-{state}"), "Name": "flt",
                "Check": { "CheckID": format!("flt:{state}"), "TTL": "60s", "Status": state } }))
            .await;
    }
    let ids = async |query: &str| {
        let found = consul
            .get(&format!("/v1/health/service/flt{query}"))
            .await
            .json();
        let mut ids: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["Service"]["ID"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids("").await,
        ["flt-critical", "flt-passing", "flt-warning"]
    );
    assert_eq!(ids("?passing").await, ["flt-passing"]);
    assert_eq!(ids("?passing=true").await, ["flt-passing"]);
    assert_eq!(ids("?passing=false").await.len(), 3);
    consul.put("/v1/agent/check/pass/flt:critical", "").await;
    becomes(&consul, "flt", "flt:critical", "passing").await;
    assert_eq!(ids("?passing").await, ["flt-critical", "flt-passing"]);
}

/// A web server that answers with whatever status it is told.
async fn web_server(status: Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let code = status.load(Ordering::Relaxed);
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer =
                format!("HTTP/1.1 {code} x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

pub async fn http_checks_are_polled(consul: Arc<Consul>) {
    let status = Arc::new(AtomicU16::new(200));
    let port = web_server(Arc::clone(&status)).await;
    consul
        .register(&json!({ "ID": "poll", "Name": "poll", "Check": {
            "CheckID": "poll:c", "HTTP": format!("http://127.0.0.1:{port}/healthz"),
            "Interval": "1s", "Timeout": "500ms" } }))
        .await;
    becomes(&consul, "poll", "poll:c", "passing").await;
    for (code, state) in [(429, "warning"), (503, "critical"), (204, "passing")] {
        status.store(code, Ordering::Relaxed);
        let took = becomes(&consul, "poll", "poll:c", state).await;
        assert!(
            took.within(Duration::from_secs(4)),
            "{state} after {took:?}"
        );
    }
}

pub async fn tcp_checks_are_polled(consul: Arc<Consul>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    consul
        .register(&json!({ "ID": "tcp", "Name": "tcp", "Check": {
            "CheckID": "tcp:c", "TCP": address, "Interval": "1s", "Timeout": "500ms" } }))
        .await;
    becomes(&consul, "tcp", "tcp:c", "passing").await;
    drop(listener);
    becomes(&consul, "tcp", "tcp:c", "critical").await;
}

pub async fn maintenance_is_a_check(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "mnt", "Name": "mnt", "Check": { "CheckID": "mnt:c", "TTL": "60s", "Status": "passing" } }))
        .await;
    let check = "_service_maintenance:mnt";
    let begin = "/v1/agent/service/maintenance/mnt?enable=true&reason=disk%20swap";
    assert_eq!(consul.put(begin, "").await.status, 200);
    becomes(&consul, "mnt", check, "critical").await;
    let held = consul.get("/v1/agent/checks").await.json()[check].clone();
    assert_eq!(
        (&held["Notes"], &held["Type"]),
        (&json!("disk swap"), &json!("maintenance"))
    );
    let summary = consul
        .get("/v1/agent/health/service/id/mnt?format=text")
        .await;
    assert_eq!(
        (summary.status, summary.text().as_str()),
        (503, "maintenance")
    );
    assert_eq!(
        consul.get("/v1/health/service/mnt?passing").await.json(),
        json!([])
    );

    assert_eq!(
        consul
            .put("/v1/agent/service/maintenance/mnt?enable=false", "")
            .await
            .status,
        200
    );
    becomes(&consul, "mnt", check, "absent").await;
    assert_eq!(state(&consul, "mnt", "mnt:c").await, "passing");
}

pub async fn checks_are_listed(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "lst", "Name": "lst", "Check": { "CheckID": "lst:c", "TTL": "60s", "Status": "warning" } }))
        .await;
    becomes(&consul, "lst", "lst:c", "warning").await;
    let node = consul.get("/v1/agent/self").await.json()["Config"]["NodeName"]
        .as_str()
        .unwrap()
        .to_owned();
    let has = async |path: String| {
        let checks = consul.get(&path).await.json();
        checks
            .as_array()
            .unwrap()
            .iter()
            .any(|check| check["CheckID"] == "lst:c")
    };
    assert!(has("/v1/health/state/any".into()).await);
    assert!(has("/v1/health/state/warning".into()).await);
    assert!(!has("/v1/health/state/passing".into()).await);
    assert!(has(format!("/v1/health/node/{node}")).await);
    assert!(!has("/v1/health/node/nobody".into()).await);

    // A check registered on its own, for a service that is there.
    let own =
        json!({ "ID": "lst:own", "Name": "own", "TTL": "60s", "ServiceID": "lst" }).to_string();
    assert_eq!(
        consul.put("/v1/agent/check/register", own).await.status,
        200
    );
    becomes(&consul, "lst", "lst:own", "critical").await;
    assert_eq!(
        consul
            .put("/v1/agent/check/deregister/lst:own", "")
            .await
            .status,
        200
    );
    becomes(&consul, "lst", "lst:own", "absent").await;
}
