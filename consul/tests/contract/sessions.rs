//! Sessions, and the keys that go with them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::common::Consul;

async fn create(consul: &Consul, body: &Value) -> String {
    let reply = consul.put("/v1/session/create", body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["ID"].as_str().unwrap().to_owned()
}

pub async fn a_session_holds_keys_and_takes_them_along(consul: Arc<Consul>) {
    let body = json!({ "Name": "n", "TTL": "10s", "Behavior": "delete", "LockDelay": "0s" });
    let (one, two) = (create(&consul, &body).await, create(&consul, &body).await);
    let take = async |session: &str, value: &str| {
        let path = format!("/v1/kv/held/k?acquire={session}");
        consul.put(&path, value).await
    };
    assert_eq!(take(&one, "a").await.json(), json!(true));
    assert_eq!(take(&one, "b").await.json(), json!(true));
    assert_eq!(take(&two, "c").await.json(), json!(false));
    let entry = consul.get("/v1/kv/held/k").await.json()[0].clone();
    assert_eq!(
        (&entry["Session"], &entry["LockIndex"]),
        (&json!(one), &json!(1))
    );
    assert_eq!(entry["Value"], "Yg==");

    let renewed = consul.put(&format!("/v1/session/renew/{one}"), "").await;
    assert_eq!(
        (renewed.status, &renewed.json()[0]["ID"]),
        (200, &json!(one))
    );
    let index = consul.get("/v1/kv/held/?recurse").await.index();
    let gone = consul.put(&format!("/v1/session/destroy/{one}"), "").await;
    assert_eq!(gone.json(), json!(true));
    assert_eq!(consul.get("/v1/kv/held/k").await.status, 404);
    // Whoever waits for the folder is woken.
    let path = format!("/v1/kv/held/?recurse&index={index}&wait=10s");
    assert!(consul.get(&path).await.index() > index);

    let over = consul.put(&format!("/v1/session/renew/{one}"), "").await;
    assert_eq!(over.status, 404);
    assert_eq!(take(&one, "d").await.status, 500);
    assert_eq!(consul.get("/v1/kv/held/k").await.status, 404);
}

pub async fn a_session_that_is_not_renewed_ends(consul: Arc<Consul>) {
    let kept = create(&consul, &json!({ "TTL": "10s" })).await;
    let lost = create(&consul, &json!({ "TTL": "10s", "Behavior": "delete" })).await;
    for (key, session) in [("kept", &kept), ("lost", &lost)] {
        let path = format!("/v1/kv/ttl/{key}?acquire={session}");
        assert_eq!(consul.put(&path, "x").await.json(), json!(true));
    }
    // Consul takes up to twice the TTL.
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(25);
    while consul.get("/v1/kv/ttl/lost").await.status == 200 {
        assert!(
            std::time::Instant::now() < limit,
            "the session outlives its TTL"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        consul.put(&format!("/v1/session/renew/{kept}"), "").await;
    }
    let entry = consul.get("/v1/kv/ttl/kept").await.json()[0].clone();
    assert_eq!(entry["Session"], json!(kept));
}

pub async fn nonsense_is_refused(consul: Arc<Consul>) {
    for body in [
        r#"{ "TTL": "1s" }"#,
        r#"{ "TTL": "x" }"#,
        r#"{ "Behavior": "x" }"#,
        "{",
    ] {
        let reply = consul.put("/v1/session/create", body).await;
        assert!(
            reply.status == 400 || reply.status == 500,
            "{body}: {}",
            reply.status
        );
    }
    let nobody = "11111111-2222-4333-8444-555555555555";
    assert_eq!(
        consul
            .put(&format!("/v1/session/destroy/{nobody}"), "")
            .await
            .json(),
        json!(true)
    );
}
