//! The table of nodes as this ingest sees it: what its choices rest on.

use std::time::Instant;

use rackcast_route::Router;
use rackcast_route::table::{NodeView, Standing, ZoneView};
use rackcast_service::explain::{Budget, Fleet, NodeState, Nodes, ZoneState};

use super::story::ms;
use super::words;

/// How everything stands at `now`. Quick, since every segment waits for the router meanwhile.
pub fn nodes(router: &mut Router, now: Instant) -> Nodes {
    let snapshot = router.snapshot(now);
    let table = router.table();
    let capacity = table.capacity(now);
    let budget = |name: &str, left: u32| Budget {
        name: name.to_owned(),
        left: left.into(),
    };
    Nodes {
        fleet: Fleet {
            slots: capacity.slots.into(),
            free: capacity.free.into(),
            megapixels_per_second: finite(capacity.pixel_rate / 1e6),
            degradation: words::degradation(snapshot.level),
            circuits_open: u64::try_from(snapshot.circuits_open).unwrap_or(u64::MAX),
        },
        budgets: vec![
            budget("retries", snapshot.retries_left),
            budget("refusals", snapshot.refusals_left),
        ],
        zones: table.zones(now).map(|view| zone(&view, now)).collect(),
        nodes: table.nodes(now).map(|view| node(&view, now)).collect(),
        omitted: 0,
    }
}

fn zone(view: &ZoneView<'_>, now: Instant) -> ZoneState {
    ZoneState {
        zone: view.name.to_owned(),
        nodes: view.nodes.into(),
        good: view.good.into(),
        left_for_ms: view.left_until.and_then(|until| left(until, now)),
        on_trial: view.left_until.is_some_and(|until| until <= now),
    }
}

fn node(view: &NodeView<'_>, now: Instant) -> NodeState {
    let until = match view.standing {
        Standing::Blocked(until) | Standing::Ejected(_, until) => Some(until),
        _ => None,
    };
    let endpoint = &view.member.endpoint;
    NodeState {
        id: view.member.id.as_str().to_owned(),
        zone: view.member.zone.clone(),
        address: endpoint.as_str().to_owned(),
        identity: endpoint.identity().map(str::to_owned),
        tier: endpoint
            .identity()
            .map(|_| endpoint.tier().as_str().to_owned()),
        in_subset: view.in_subset,
        standing: words::standing(view.standing),
        for_ms: until.and_then(|until| left(until, now)),
        in_flight: view.in_flight.into(),
        streams: view.streams.into(),
        others: view.others.into(),
        slots: view.slots.into(),
        ms_per_megapixel: finite(view.seconds_per_megapixel * 1e3),
        network_ms: finite(view.network.as_secs_f64() * 1e3),
        failures: view.failures.into(),
    }
}

fn left(until: Instant, now: Instant) -> Option<u64> {
    let left = until.saturating_duration_since(now);
    (!left.is_zero()).then(|| ms(left))
}

/// JSON has no other numbers. Three digits behind the point are plenty.
fn finite(n: f64) -> f64 {
    if n.is_finite() {
        (n * 1e3).round() / 1e3
    } else {
        0.0
    }
}
