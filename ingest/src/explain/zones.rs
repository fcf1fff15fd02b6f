use std::collections::HashMap;

use rackcast_route::{Member, NodeId};
use rackcast_service::explain::Node;

/// Nodes that left the catalog are remembered until there are so many more than members.
const SPARE: usize = 1000;

/// Where nodes stand, or stood: a record outlives its nodes.
#[derive(Debug, Default, Clone)]
pub(super) struct Zones(HashMap<NodeId, Box<str>>);

impl Zones {
    /// Takes note of all the catalog's nodes.
    pub(super) fn learn<'a>(&mut self, members: impl Iterator<Item = &'a Member> + Clone) {
        if self.0.len() > members.clone().count().saturating_add(SPARE) {
            self.0.clear();
        }
        for member in members {
            let known = self.0.get(&member.id);
            if known.is_none_or(|zone| **zone != *member.zone) {
                self.0
                    .insert(member.id.clone(), member.zone.as_str().into());
            }
        }
    }

    /// A node as answers name it.
    pub(super) fn node(&self, id: &NodeId) -> Node {
        let zone = self.0.get(id).filter(|zone| !zone.is_empty());
        Node {
            id: id.as_str().to_owned(),
            zone: zone.map(|zone| zone.as_ref().to_owned()),
        }
    }
}
