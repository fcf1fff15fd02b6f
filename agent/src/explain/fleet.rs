//! The transcode nodes as an ingest sees them.

use rackcast_service::explain::{Answer, NodeState, Nodes};

use super::text::{seconds, table};

/// What an ingest's choices rest on.
pub(super) fn table_of(answer: &Answer<Nodes>) -> String {
    let (fleet, content) = (&answer.content.fleet, &answer.content);
    let mut text = format!(
        "{}: {} of {} slots free, {:.0} megapixels a second; {}\n",
        answer.ingest.id,
        fleet.free,
        fleet.slots,
        fleet.megapixels_per_second,
        fleet.degradation.text
    );
    let budgets = content.budgets.iter();
    let budgets = budgets.map(|budget| format!("{} {}", budget.left, budget.name));
    text += &format!(
        "  could be paid now: {}; streams at rest: {}\n",
        budgets.collect::<Vec<_>>().join(", "),
        fleet.circuits_open
    );
    let zones = content.zones.iter().map(|zone| {
        let left = match zone.left_for_ms {
            Some(ms) => format!("left as a whole for {} more", seconds(ms)),
            None if zone.on_trial => "on trial: its next segment decides".to_owned(),
            None => String::new(),
        };
        vec![
            named(&zone.zone),
            format!("{} of {}", zone.good, zone.nodes),
            left,
        ]
    });
    text += &table(&["ZONE", "GOOD", ""], &zones.collect::<Vec<_>>());
    let nodes: Vec<_> = content.nodes.iter().map(row).collect();
    let head = [
        "NODE",
        "ZONE",
        "LIVE",
        "OURS",
        "OTHERS",
        "SLOTS",
        "MS/MPIXEL",
        "NETWORK",
        "FAILED",
        "STANDING",
    ];
    text += &table(&head, &nodes);
    if content.omitted > 0 {
        text += &format!("  {} more nodes: the answer has no room\n", content.omitted);
    }
    text
}

fn row(node: &NodeState) -> Vec<String> {
    let mut standing = node.standing.text.clone();
    if let Some(ms) = node.for_ms {
        standing += &format!(" ({} more)", seconds(ms));
    }
    if !node.in_subset {
        standing += "; not in this ingest's share of the fleet";
    }
    vec![
        node.id.clone(),
        named(&node.zone),
        node.streams.to_string(),
        node.in_flight.to_string(),
        node.others.to_string(),
        node.slots.to_string(),
        format!("{:.2}", node.ms_per_megapixel),
        format!("{:.1} ms", node.network_ms),
        node.failures.to_string(),
        standing,
    ]
}

fn named(zone: &str) -> String {
    match zone {
        "" => "-".to_owned(),
        zone => zone.to_owned(),
    }
}
