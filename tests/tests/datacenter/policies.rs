//! Each token may do what its holder needs, and nothing else.

use http::Method;
use rackcast_tests::datacenter::{Datacenter, token};
use rackcast_tests::netns::Network;

const REGISTER: &str = "/v1/agent/service/register";
const NODES: &str = "/v1/catalog/nodes";
const TRANSCODERS: &str = "/v1/health/service/rackcast-transcode";

/// What a request shows of a token's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// It is done, or would be if the thing existed.
    Yes,
    /// It is refused, or the answer is as if there were nothing.
    No,
}
use May::{No, Yes};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_do_what_its_holder_needs_and_no_more() {
    if !Network::is_possible("ACL policies in a Consul datacenter") {
        return;
    }
    let dc = Datacenter::start(2).await;
    for (path, body) in [
        (
            REGISTER,
            r#"{ "Name": "rackcast-transcode", "ID": "rackcast-transcode-x", "Port": 1 }"#,
        ),
        (
            REGISTER,
            r#"{ "Name": "postgres", "ID": "postgres", "Port": 5432 }"#,
        ),
        ("/v1/kv/rackcast/settings/seed", "1"),
        ("/v1/kv/rackcast/streams/live/seed/1", "1"),
        ("/v1/kv/rackcast/drain/seed", "1"),
        ("/v1/kv/secrets/seed", "1"),
    ] {
        let reply = dc.root(2, Method::PUT, path, body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    rackcast_tests::wait::wait_for("the servers to know", crate::fleet::START, || async {
        let found = dc.get(2, TRANSCODERS).await?;
        (found.as_array()?.len() == 1).then_some(())
    })
    .await;

    let web = r#"{ "Name": "web", "ID": "web", "Port": 1 }"#;
    let ours = r#"{ "Name": "rackcast-ingest", "ID": "t", "Port": 1 }"#;
    let session = r#"{ "TTL": "10s", "Behavior": "delete" }"#;
    // What is tried, and which of agent, ingest, transcode, operator, dns and nobody may.
    let tries = [
        ("PUT", REGISTER, ours, [Yes, No, No, No, No, No]),
        (
            "PUT",
            "/v1/agent/service/maintenance/t?enable=true",
            "",
            [Yes, No, No, No, No, No],
        ),
        (
            "PUT",
            "/v1/agent/service/deregister/t",
            "",
            [Yes, No, No, No, No, No],
        ),
        ("PUT", REGISTER, web, [No; 6]),
        ("PUT", "/v1/agent/service/deregister/postgres", "", [No; 6]),
        ("GET", TRANSCODERS, "", [No, Yes, No, Yes, Yes, Yes]),
        ("GET", NODES, "", [No, Yes, No, Yes, Yes, Yes]),
        ("GET", "/v1/health/service/postgres", "", [No; 6]),
        (
            "GET",
            "/v1/kv/rackcast/settings/seed",
            "",
            [Yes, Yes, Yes, Yes, No, No],
        ),
        (
            "PUT",
            "/v1/kv/rackcast/settings/seed",
            "2",
            [No, No, No, Yes, No, No],
        ),
        (
            "GET",
            "/v1/kv/rackcast/streams/live/seed/1",
            "",
            [No, Yes, No, Yes, No, No],
        ),
        (
            "PUT",
            "/v1/kv/rackcast/streams/live/seed/1",
            "2",
            [No, Yes, No, No, No, No],
        ),
        (
            "GET",
            "/v1/kv/rackcast/drain/seed",
            "",
            [Yes, No, No, Yes, No, No],
        ),
        (
            "PUT",
            "/v1/kv/rackcast/drain/seed",
            "2",
            [No, No, No, Yes, No, No],
        ),
        ("GET", "/v1/kv/secrets/seed", "", [No; 6]),
        ("PUT", "/v1/kv/secrets/seed", "2", [No; 6]),
        ("PUT", "/v1/kv/rackcast/other", "2", [No; 6]),
        (
            "PUT",
            "/v1/session/create",
            session,
            [No, Yes, No, No, No, No],
        ),
        // Whoever may see the service may execute its query; what is in it is for those who write it.
        ("GET", "/v1/query", "", [No; 6]),
        ("GET", "/v1/agent/self", "", [No; 6]),
        ("GET", "/v1/acl/policies", "", [No; 6]),
        ("PUT", "/v1/acl/token", r#"{ "Policies": [] }"#, [No; 6]),
        ("PUT", "/v1/agent/leave", "", [No; 6]),
        ("GET", "/v1/operator/raft/configuration", "", [No; 6]),
        ("PUT", "/v1/event/fire/x", "", [No; 6]),
    ];
    let roles = ["agent", "ingest", "transcode", "operator", "dns", "nobody"];
    let mut wrong = Vec::new();
    for (method, path, body, expected) in tries {
        for (role, expected) in roles.iter().zip(expected) {
            let method: Method = method.parse().unwrap();
            // The `default` token of these agents is that of DNS: it stands for whoever has none.
            let secret = (*role != "nobody").then(|| token(role));
            let reply = dc
                .ask(2, secret.as_deref(), method.clone(), path, body)
                .await
                .unwrap();
            let empty =
                method == Method::GET && matches!(reply.text.as_str(), "[]" | "{}" | "null" | "");
            let may = match reply.status {
                200 if !empty => Yes,
                _ => No,
            };
            if may != expected {
                wrong.push(format!(
                    "{role}: {method} {path}: {} {}",
                    reply.status, reply.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "not as it should be: {wrong:#?}");
}
