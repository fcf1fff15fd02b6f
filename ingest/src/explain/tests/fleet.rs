use std::sync::Arc;
use std::time::Instant;

use rackcast_route::table::FailureKind;
use rackcast_route::{Endpoint, Member, Router, RouterConfig};
use rackcast_service::explain::{Answer, Ingest, Nodes};

use super::{Config, ms, trails};
use crate::explain::api::Api;
use crate::explain::nodes;

fn router(now: Instant) -> Router {
    let member = |id: &str, zone: &str| Member {
        id: id.into(),
        zone: zone.to_owned(),
        endpoint: Endpoint::new("10.0.0.1", 7000),
        slots: 2,
        pixel_rate: Some(1e8),
        weight: 1,
    };
    let mut router = Router::new(RouterConfig::default(), "ingest", now);
    let members = [member("a", "z1"), member("b", "z1"), member("c", "z2")];
    router.table_mut().update_members(members, now);
    router
}

#[test]
fn a_node_that_refuses_connections_is_shown_as_ejected_and_for_how_long() {
    let t0 = Instant::now();
    let mut router = router(t0);
    let table = router.table_mut();
    let b = table.find(&"b".into()).unwrap();
    let change = table.blame(b, FailureKind::Connect, t0, &mut rand::rng());
    assert!(change.is_some(), "ejected");
    let table = nodes(&mut router, t0 + ms(10));

    let ids: Vec<_> = table.nodes.iter().map(|n| n.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let b = &table.nodes[1];
    assert_eq!(b.standing.code, "ejected");
    assert_eq!(b.standing.failure.as_deref(), Some("connect"));
    assert!(b.for_ms.is_some_and(|ms| ms > 100), "{b:?}");
    assert_eq!((b.zone.as_str(), b.slots), ("z1", 2));
    assert_eq!(table.nodes[0].for_ms, None);

    let zones: Vec<_> = table
        .zones
        .iter()
        .map(|z| (z.zone.as_str(), z.nodes))
        .collect();
    assert_eq!(zones, [("z1", 2), ("z2", 1)]);
    assert_eq!(table.fleet.degradation.code, "none");
    assert_eq!((table.fleet.slots, table.fleet.free), (4, 4), "without b");
    let budgets: Vec<_> = table.budgets.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(budgets, ["retries", "refusals"]);
}

#[test]
fn the_table_has_its_page_and_its_largest_size() {
    let now = Instant::now();
    let member = |n: u32| Member {
        id: format!("rackcast-transcode-rack{n:04}-1").into(),
        zone: "hall".to_owned(),
        endpoint: Endpoint::new("10.0.0.1", 7000),
        slots: 2,
        pixel_rate: None,
        weight: 1,
    };
    let mut router = Router::new(RouterConfig::default(), "ingest", now);
    router.table_mut().update_members((0..500).map(member), now);
    let table = nodes(&mut router, now);
    let config = Config {
        max_answer: 64 << 10,
        ..Config::default()
    };
    let ingest = Ingest {
        id: "i".to_owned(),
        node: String::new(),
        zone: String::new(),
    };
    let api = Api::new(
        Arc::new(trails(config)),
        move || table.clone(),
        Vec::new,
        ingest,
    );
    let (status, body) = super::answers::get(&api, "/v1/nodes");
    assert_eq!(status, 200);
    assert!(body.to_string().len() < 70 << 10);
    let answer: Answer<Nodes> = serde_json::from_value(body).unwrap();
    let table = answer.content;
    assert!(table.nodes.len() > 100, "{}", table.nodes.len());
    assert_eq!(table.nodes.len() as u64 + table.omitted, 500);
    assert_eq!(super::answers::get(&api, "/v1/nodes?x").0, 400);
}
