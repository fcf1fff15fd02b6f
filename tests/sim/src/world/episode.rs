use std::time::Duration;

use crate::noise::{For, Noise};
use crate::scenario::{Fault, Kind, Scenario, Select};
use crate::time::Time;

use super::World;

/// From the end of a restart until the agent has registered the node again.
const REGISTER: Duration = Duration::from_secs(1);

/// One spell of one fault.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    pub(crate) from: Time,
    pub(crate) until: Time,
    pub(crate) nodes: Vec<u32>,
    pub(crate) kind: Kind,
}

/// Every spell of every fault, and what the whole of each fault is (a flapping one's spells
/// included): the first for the world, the second for who judges it.
pub(crate) fn episodes(scenario: &Scenario, world: &World) -> (Vec<Episode>, Vec<Episode>) {
    let mut spells = Vec::new();
    let mut wholes = Vec::new();
    let end = Time::after(scenario.length) + Duration::from_secs(60);
    for fault in &scenario.faults {
        let nodes = match fault.what.is_global() {
            true => Vec::new(),
            false => chosen(&fault.nodes, scenario, world, world.noise),
        };
        let until = fault.until.map_or(end, Time::after);
        let whole = Episode {
            from: Time::after(fault.at),
            until,
            nodes,
            kind: fault.what,
        };
        spell(fault, &whole, &mut spells);
        wholes.push(whole);
    }
    (spells, wholes)
}

fn spell(fault: &Fault, whole: &Episode, out: &mut Vec<Episode>) {
    if let Some(every) = fault.every {
        let length = whole.until.since(whole.from);
        let mut from = whole.from;
        for node in &whole.nodes {
            let one = Episode {
                from,
                until: from + length,
                nodes: vec![*node],
                kind: whole.kind,
            };
            restart(&one, out);
            from = from + every;
        }
        return;
    }
    let Some(flap) = fault.flap else {
        restart(whole, out);
        return;
    };
    let mut from = whole.from;
    while from < whole.until {
        let until = (from + flap.bad).min(whole.until);
        restart(
            &Episode {
                from,
                until,
                ..whole.clone()
            },
            out,
        );
        from = from + flap.bad + flap.good;
    }
}

/// A restart is a time of drain, a time of death, and a while until it is in the catalog again.
fn restart(whole: &Episode, out: &mut Vec<Episode>) {
    let Kind::Restart { drain, down } = whole.kind else {
        out.push(whole.clone());
        return;
    };
    let (drained, up) = (whole.from + drain, whole.from + drain + down);
    let part = |kind, from, until| Episode {
        from,
        until,
        nodes: whole.nodes.clone(),
        kind,
    };
    out.push(part(Kind::CatalogWithout, whole.from, up + REGISTER));
    out.push(part(whole.kind, whole.from, drained));
    out.push(part(Kind::Dead, drained, up));
}

/// The same nodes for every fault that asks alike, so that one half can fail in several ways.
fn chosen(select: &Select, scenario: &Scenario, world: &World, noise: Noise) -> Vec<u32> {
    let groups = scenario
        .nodes
        .iter()
        .flat_map(|g| std::iter::repeat_n(g, g.count as usize));
    let fits = |(i, group): (u32, &crate::scenario::NodeGroup)| {
        let zone = &world.zones[world.node(i).spec.zone];
        let fits = select.group.as_ref().is_none_or(|g| *g == group.name)
            && select.zone.as_ref().is_none_or(|z| z == zone);
        fits.then_some(i)
    };
    let mut nodes: Vec<u32> = (0..).zip(groups).filter_map(fits).collect();
    let count = match (select.count, select.share) {
        (Some(count), _) => count as usize,
        (None, Some(share)) => (nodes.len() as f64 * share) as usize,
        (None, None) => nodes.len(),
    };
    nodes.sort_by_key(|i| noise.hash(For::Target, u64::from(*i), 0));
    nodes.truncate(count);
    nodes
}
