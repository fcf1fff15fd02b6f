#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use super::*;
use std::collections::BTreeSet;

fn fleet(
    ids: impl Iterator<Item = u32>,
    identity: &str,
    weight: impl Fn(u32) -> f64,
) -> Vec<Ranked> {
    let mut nodes: Vec<_> = ids
        .map(|i| Ranked {
            node: NodeRef { index: i, life: 0 },
            zone: i % 3,
            rank: rank(hash(identity, &format!("node-{i}")), weight(i)),
        })
        .collect();
    order(&mut nodes, 24);
    nodes
}

fn base(nodes: &[Ranked]) -> BTreeSet<u32> {
    nodes.iter().take(24).map(|n| n.node.index).collect()
}

#[test]
fn a_nodes_coming_or_going_moves_little() {
    let with = base(&fleet(0..1000, "ingest-1", |_| 1.0));
    for gone in with.iter().copied() {
        let without = base(&fleet((0..1000).filter(|i| *i != gone), "ingest-1", |_| {
            1.0
        }));
        assert_eq!(
            with.difference(&without).count(),
            1,
            "only the one that went"
        );
    }
}

#[test]
fn ingests_have_subsets_of_their_own() {
    let a = base(&fleet(0..1000, "ingest-1", |_| 1.0));
    let b = base(&fleet(0..1000, "ingest-2", |_| 1.0));
    assert!(a.intersection(&b).count() < 6);
}

#[test]
fn a_node_is_chosen_in_proportion_to_its_capacity() {
    let mut strong = 0;
    for i in 0..200 {
        let nodes = fleet(0..200, &format!("ingest-{i}"), |n| {
            if n < 20 { 4.0 } else { 1.0 }
        });
        strong += base(&nodes).iter().filter(|n| **n < 20).count();
    }
    // 20 x 4 of 260 parts, less what drawing without replacement costs.
    let share = f64::from(u32::try_from(strong).unwrap()) / (200.0 * 24.0);
    assert!((0.24..0.33).contains(&share), "{share}");
}

#[test]
fn at_least_two_zones_where_there_are_two() {
    let mut nodes: Vec<_> = (0..400u32)
        .map(|i| Ranked {
            node: NodeRef { index: i, life: 0 },
            zone: u32::from(i >= 394),
            rank: rank(hash("x", &i.to_string()), 1.0),
        })
        .collect();
    order(&mut nodes, 24);
    assert_eq!(nodes.iter().take(24).filter(|n| n.zone == 1).count(), 6);
    let all: BTreeSet<u32> = nodes.iter().map(|n| n.node.index).collect();
    assert_eq!(all.len(), 400, "nobody is lost or doubled");

    let mut one: Vec<_> = (0..30u32)
        .map(|i| Ranked {
            node: NodeRef { index: i, life: 0 },
            zone: 0,
            rank: f64::from(i),
        })
        .collect();
    order(&mut one, 24);
    assert_eq!(one[0].node.index, 29);
}

#[test]
fn the_size_follows_the_need_with_hysteresis() {
    let config = Config::default();
    let mut size = Size::new(&config);
    assert!(!size.follow(0.2, 0.7, 100, 0.0, &config));
    assert!(size.follow(0.4, 0.4, 100, 0.0, &config));
    assert_eq!(size.get(), 30);
    assert!(size.follow(0.1, 0.9, 100, 0.0, &config), "others crowd it");
    assert_eq!(size.get(), 38);
    for _ in 0..20 {
        size.follow(0.9, 0.9, 100, 1.0, &config);
    }
    assert_eq!(size.get(), 100, "never more than there are");
    assert!(!size.follow(0.1, 0.1, 100, 2.0, &config));
    assert!(
        !size.follow(0.2, 0.2, 100, 60.0, &config),
        "between the marks nothing happens"
    );
    assert!(
        !size.follow(0.1, 0.1, 100, 70.0, &config),
        "and the wait begins anew"
    );
    assert!(size.follow(0.1, 0.1, 100, 130.0, &config));
    assert_eq!(size.get(), 80);
    for i in 0..20u32 {
        size.follow(0.0, 0.0, 100, 200.0 + 60.0 * f64::from(i), &config);
    }
    assert_eq!(size.get(), 24);
}
