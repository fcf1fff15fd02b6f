//! Keys and values.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::common::Consul;

pub async fn a_value_is_kept(consul: Arc<Consul>) {
    assert_eq!(
        consul.put("/v1/kv/one/a?flags=42", "hello").await.json(),
        json!(true)
    );
    let reply = consul.get("/v1/kv/one/a").await;
    let entry = reply.json()[0].clone();
    assert_eq!(
        (&entry["Key"], &entry["Value"], &entry["Flags"]),
        (&json!("one/a"), &json!("aGVsbG8="), &json!(42))
    );
    assert_eq!(entry["ModifyIndex"], reply.index());
    assert_eq!(consul.get("/v1/kv/one/a?raw").await.body, "hello");
    consul.put("/v1/kv/one/empty", "").await;
    assert_eq!(
        consul.get("/v1/kv/one/empty").await.json()[0]["Value"],
        json!(null)
    );
    consul.put("/v1/kv/one/b%20c%2Fd", "odd").await;
    assert_eq!(consul.get("/v1/kv/one/b%20c/d?raw").await.body, "odd");
}

pub async fn check_and_set(consul: Arc<Consul>) {
    let put = async |cas: u64, value: &str| {
        consul
            .put(&format!("/v1/kv/cas/k?cas={cas}"), value)
            .await
            .json()
    };
    assert_eq!(put(0, "first").await, json!(true));
    assert_eq!(put(0, "second").await, json!(false));
    let index = consul.get("/v1/kv/cas/k").await.index();
    assert_eq!(put(index + 1, "third").await, json!(false));
    assert_eq!(put(index, "third").await, json!(true));
    assert_eq!(consul.get("/v1/kv/cas/k?raw").await.body, "third");
    let delete = async |cas: u64| {
        consul
            .call("DELETE", &format!("/v1/kv/cas/k?cas={cas}"), "")
            .await
            .json()
    };
    assert_eq!(delete(index).await, json!(false));
    let index = consul.get("/v1/kv/cas/k").await.index();
    assert_eq!(delete(index).await, json!(true));
    assert_eq!(consul.get("/v1/kv/cas/k").await.status, 404);
}

pub async fn prefixes(consul: Arc<Consul>) {
    for key in ["a", "b/x", "b/y", "c"] {
        consul.put(&format!("/v1/kv/pre/{key}"), key).await;
    }
    let all = consul.get("/v1/kv/pre/?recurse").await.json();
    let keys: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["Key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["pre/a", "pre/b/x", "pre/b/y", "pre/c"]);
    assert_eq!(
        consul.get("/v1/kv/pre/b?keys").await.json(),
        json!(["pre/b/x", "pre/b/y"])
    );
    let level = consul.get("/v1/kv/pre/?keys&separator=/").await.json();
    assert_eq!(level, json!(["pre/a", "pre/b/", "pre/c"]));
}

pub async fn removal(consul: Arc<Consul>) {
    for key in ["a", "b", "c/d"] {
        consul.put(&format!("/v1/kv/rm/{key}"), "x").await;
    }
    assert_eq!(
        consul.call("DELETE", "/v1/kv/rm/a", "").await.json(),
        json!(true)
    );
    assert_eq!(
        consul.call("DELETE", "/v1/kv/rm/a", "").await.json(),
        json!(true)
    );
    assert_eq!(consul.get("/v1/kv/rm/a").await.status, 404);
    assert_eq!(
        consul.call("DELETE", "/v1/kv/rm/?recurse", "").await.json(),
        json!(true)
    );
    let gone = consul.get("/v1/kv/rm/?recurse").await;
    // A missing key still says what index to wait on.
    assert_eq!(gone.status, 404);
    assert!(gone.index() >= 1);
}

pub async fn a_key_is_watched(consul: Arc<Consul>) {
    consul.put("/v1/kv/watch/k", "one").await;
    let index = consul.get("/v1/kv/watch/k").await.index();
    let waiting = tokio::spawn({
        let consul = Arc::clone(&consul);
        async move {
            consul
                .get(&format!("/v1/kv/watch/k?index={index}&wait=20s"))
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    consul.put("/v1/kv/watch/k", "two").await;
    let reply = waiting.await.unwrap();
    assert!(reply.index() > index);
    assert_eq!(reply.json()[0]["Value"], "dHdv");
}

pub async fn limits_and_refusals(consul: Arc<Consul>) {
    assert_eq!(consul.put("/v1/kv/", "x").await.status, 400);
    assert_eq!(consul.get("/v1/kv/").await.status, 400);
    assert_eq!(consul.call("POST", "/v1/kv/x", "x").await.status, 405);
    assert_eq!(consul.put("/v1/kv/lim?cas=abc", "x").await.status, 500);
    let most = 512 << 10;
    assert_eq!(consul.put("/v1/kv/lim", "x".repeat(most)).await.status, 200);
    assert_eq!(
        consul.put("/v1/kv/lim", "x".repeat(most + 1)).await.status,
        413
    );
}
