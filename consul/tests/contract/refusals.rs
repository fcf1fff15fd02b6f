//! What must not be taken.

use std::sync::Arc;

use serde_json::json;

use crate::common::Consul;

pub async fn unknown_fields(consul: Arc<Consul>) {
    // Fields of newer versions, which 1.8 refuses: our registrations must not have them.
    for field in ["Ports", "SocketPath", "Locality", "Namespace", "Partition"] {
        let body = json!({ "Name": "unknown", field: "x" }).to_string();
        let reply = consul.put("/v1/agent/service/register", body).await;
        assert_eq!(reply.status, 400, "{field}");
        assert!(reply.text().contains("unknown field"), "{}", reply.text());
    }
    for field in [
        "DisableRedirects",
        "H2PING",
        "UDP",
        "OSService",
        "TLSServerName",
        "FailuresBeforeWarning",
    ] {
        let body = json!({ "Name": "unknown", "Check": { "TTL": "5s", field: "x" } }).to_string();
        assert_eq!(
            consul.put("/v1/agent/service/register", body).await.status,
            400,
            "{field}"
        );
    }
    assert_eq!(consul.get("/v1/agent/service/unknown").await.status, 404);
}

pub async fn wrong_methods(consul: Arc<Consul>) {
    for (method, path) in [
        ("GET", "/v1/agent/service/register"),
        ("POST", "/v1/agent/service/register"),
        ("GET", "/v1/agent/service/deregister/x"),
        ("GET", "/v1/agent/check/update/x"),
        ("PUT", "/v1/agent/services"),
        ("POST", "/v1/health/service/x"),
        ("DELETE", "/v1/catalog/services"),
    ] {
        let reply = consul.call(method, path, "").await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert!(reply.header("allow").is_some());
    }
    assert_eq!(consul.get("/v1/nothing/here").await.status, 404);
}

pub async fn nonsense(consul: Arc<Consul>) {
    let check = |check: serde_json::Value| json!({ "Name": "bad", "Check": check });
    for body in [
        json!({ "Name": "" }),
        json!({ "Name": "bad", "Port": "eighty" }),
        json!({ "Name": "bad", "Weights": { "Passing": 0, "Warning": 1 } }),
        json!({ "Name": "bad", "Weights": { "Passing": -1, "Warning": 1 } }),
        json!({ "Name": "bad", "Meta": { "a b": "c" } }),
        check(json!({ "TTL": "abc" })),
        check(json!({ "TTL": "5s", "HTTP": "http://x", "Interval": "5s" })),
        check(json!({ "HTTP": "http://x" })),
        check(json!({ "TTL": "5s", "Status": "bogus" })),
    ] {
        let reply = consul
            .put("/v1/agent/service/register", body.to_string())
            .await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    assert_eq!(
        consul
            .put("/v1/agent/service/register", "{bad")
            .await
            .status,
        400
    );
    assert_eq!(consul.get("/v1/agent/service/bad").await.status, 404);
    assert_eq!(consul.get("/v1/health/service/").await.status, 400);
}

pub async fn unknown_things(consul: Arc<Consul>) {
    // 500 on 1.8, 404 on newer versions: a client takes both for a lost registration.
    for path in ["pass/nobody", "update/nobody"] {
        let body = json!({ "Status": "passing" }).to_string();
        let reply = consul.put(&format!("/v1/agent/check/{path}"), body).await;
        assert!(
            reply.status == 500 || reply.status == 404,
            "{path}: {}",
            reply.status
        );
    }
    consul
        .register(&json!({ "Name": "unk", "Check": { "CheckID": "unk:c", "TTL": "60s" } }))
        .await;
    let bogus = json!({ "Status": "bogus" }).to_string();
    assert_eq!(
        consul
            .put("/v1/agent/check/update/unk:c", bogus)
            .await
            .status,
        400
    );
    let maintenance = "/v1/agent/service/maintenance";
    assert_eq!(
        consul
            .put(&format!("{maintenance}/nobody?enable=true"), "")
            .await
            .status,
        404
    );
    assert_eq!(
        consul.put(&format!("{maintenance}/unk"), "").await.status,
        400
    );
    assert_eq!(
        consul
            .put(&format!("{maintenance}/unk?enable=perhaps"), "")
            .await
            .status,
        400
    );
    let orphan = json!({ "Name": "orphan", "TTL": "5s", "ServiceID": "nobody" }).to_string();
    assert_eq!(
        consul.put("/v1/agent/check/register", orphan).await.status,
        500
    );
    assert_eq!(consul.get("/v1/agent/service/nobody").await.status, 404);
}
