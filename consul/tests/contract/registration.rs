//! Services in and out.

use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::json;

use crate::common::{Consul, eventually, http};

pub async fn a_service_is_found_as_registered(consul: Arc<Consul>) {
    consul
        .register(&json!({
            "ID": "reg-1", "Name": "reg", "Tags": ["cpu", "h264"], "Address": "10.1.2.3", "Port": 8443,
            "Meta": { "zone": "a", "rackcast-owner": "us" },
            "Weights": { "Passing": 12, "Warning": 3 },
        }))
        .await;

    let held = consul.get("/v1/agent/services").await.json()["reg-1"].clone();
    let entry = consul.get("/v1/health/service/reg").await.json()[0].clone();
    let service = consul.get("/v1/agent/service/reg-1").await.json();
    for found in [&held, &entry["Service"], &service] {
        assert_eq!(found["ID"], "reg-1");
        assert_eq!(found["Service"], "reg");
        assert_eq!(found["Tags"], json!(["cpu", "h264"]));
        assert_eq!(found["Address"], "10.1.2.3");
        assert_eq!(found["Port"], 8443);
        assert_eq!(
            found["Meta"],
            json!({ "zone": "a", "rackcast-owner": "us" })
        );
        assert_eq!(found["Weights"], json!({ "Passing": 12, "Warning": 3 }));
        assert_eq!(
            found["TaggedAddresses"]["lan_ipv4"],
            json!({ "Address": "10.1.2.3", "Port": 8443 })
        );
        assert_eq!(
            found["TaggedAddresses"]["wan_ipv4"],
            json!({ "Address": "10.1.2.3", "Port": 8443 })
        );
    }
    assert_eq!(entry["Node"]["Datacenter"], "dc1");
    assert_eq!(entry["Node"]["Address"], "127.0.0.1");
    assert_eq!(entry["Checks"][0]["CheckID"], "serfHealth");
    assert_eq!(entry["Checks"][0]["Status"], "passing");

    let listed = consul.get("/v1/catalog/service/reg").await.json()[0].clone();
    assert_eq!(listed["ServiceID"], "reg-1");
    assert_eq!(listed["ServicePort"], 8443);
    assert_eq!(listed["ServiceMeta"]["zone"], "a");
    assert_eq!(listed["ServiceWeights"]["Passing"], 12);
    assert_eq!(listed["Node"], entry["Node"]["Node"]);
}

pub async fn defaults_are_filled_in(consul: Arc<Consul>) {
    consul.register(&json!({ "Name": "bare" })).await;
    let held = consul.get("/v1/agent/service/bare").await.json();
    assert_eq!(held["ID"], "bare");
    assert_eq!(held["Weights"], json!({ "Passing": 1, "Warning": 1 }));
    assert_eq!((&held["Port"], &held["Address"]), (&json!(0), &json!("")));
    assert_eq!((&held["Tags"], &held["Meta"]), (&json!([]), &json!({})));
}

pub async fn a_deregistered_service_is_gone(consul: Arc<Consul>) {
    consul.register(&json!({ "ID": "gone-1", "Name": "gone", "Check": { "CheckID": "gone:ttl", "TTL": "30s" } })).await;
    assert_eq!(
        consul
            .put("/v1/agent/service/deregister/gone-1", "")
            .await
            .status,
        200
    );
    assert_eq!(consul.get("/v1/agent/service/gone-1").await.status, 404);
    assert!(
        consul
            .get("/v1/agent/checks")
            .await
            .json()
            .get("gone:ttl")
            .is_none()
    );
    eventually("the servers forget it", || async {
        consul.get("/v1/health/service/gone").await.json() == json!([])
    })
    .await;
    // 1.8 says 200, newer versions 404; both mean that it is not there.
    let again = consul
        .put("/v1/agent/service/deregister/gone-1", "")
        .await
        .status;
    assert!(again == 200 || again == 404);
}

pub async fn names_nodes_and_datacenters_are_listed(consul: Arc<Consul>) {
    consul
        .register(&json!({ "ID": "l1", "Name": "listed", "Tags": ["x", "y"] }))
        .await;
    consul
        .register(&json!({ "ID": "l2", "Name": "listed", "Tags": ["y", "z"] }))
        .await;
    let reply = consul.get("/v1/catalog/services").await;
    assert!(reply.index() >= 1);
    let mut tags: Vec<String> = serde_json::from_value(reply.json()["listed"].clone()).unwrap();
    tags.sort();
    assert_eq!(tags, ["x", "y", "z"]);
    assert!(reply.json().get("consul").is_some());
    let with_tags = consul
        .get("/v1/health/service/listed?tag=y&tag=z")
        .await
        .json();
    assert_eq!(with_tags.as_array().unwrap().len(), 1);
    assert_eq!(with_tags[0]["Service"]["ID"], "l2");

    assert_eq!(
        consul.get("/v1/catalog/datacenters").await.json(),
        json!(["dc1"])
    );
    let nodes = consul.get("/v1/catalog/nodes").await.json();
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!(nodes[0]["Datacenter"], "dc1");
    assert_eq!(
        consul.get("/v1/health/service/listed?dc=dc1").await.status,
        200
    );
    let elsewhere = consul.get("/v1/health/service/listed?dc=nowhere").await;
    assert_eq!(elsewhere.status, 500);
    assert_eq!(elsewhere.text(), "No path to datacenter");
}

pub async fn the_agent_tells_who_it_is(consul: Arc<Consul>) {
    let own = consul.get("/v1/agent/self").await.json();
    assert_eq!(own["Config"]["Datacenter"], "dc1");
    let node = own["Config"]["NodeName"].as_str().unwrap();
    assert!(own["Config"]["Version"].as_str().unwrap().starts_with("1."));
    let members = consul.get("/v1/agent/members").await.json();
    assert_eq!(members[0]["Name"], node);
    assert!(
        consul
            .get("/v1/status/leader")
            .await
            .json()
            .as_str()
            .unwrap()
            .contains(':')
    );
    assert_eq!(
        consul
            .get("/v1/status/peers")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

pub async fn large_answers_are_compressed(consul: Arc<Consul>) {
    for number in 0..10 {
        consul
            .register(&json!({ "ID": format!("large-{number}"), "Name": "large" }))
            .await;
    }
    let path = "/v1/health/service/large";
    let plain = consul.get(path).await;
    assert_eq!(plain.header("content-encoding"), None);
    let gzip = [("Accept-Encoding", "gzip")];
    let packed = http::send("GET", consul.address, path, &gzip, "")
        .await
        .unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 3);
    let text = std::io::read_to_string(GzDecoder::new(&packed.body[..])).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        plain.json()
    );
}
