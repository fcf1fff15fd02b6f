//! What Consul says, and when an ingest hears of it.

use super::{Engine, Happening};
use crate::noise::For;
use crate::policy::{Context, Policy};
use crate::time::Time;

#[derive(Debug)]
pub(super) struct Catalog {
    entries: Vec<Entry>,
    /// It tells nothing new.
    pub(super) frozen: bool,
    /// It says that there is nobody.
    pub(super) empty: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Reasons for which the node is not listed.
    hidden: u32,
    /// Its check fails since then.
    unheard: Option<Time>,
    critical: bool,
    cut_off: Option<Time>,
}

impl Catalog {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            entries: vec![Entry::default(); nodes],
            frozen: false,
            empty: false,
        }
    }

    pub(super) fn hide(&mut self, node: u32, hidden: bool) {
        let entry = &mut self.entries[node as usize];
        match hidden {
            true => entry.hidden += 1,
            false => entry.hidden -= 1,
        }
    }

    /// The node's check begins to fail, or is well again; says whether that had been noticed.
    pub(super) fn unheard(&mut self, node: u32, since: Option<Time>) -> bool {
        let entry = &mut self.entries[node as usize];
        entry.unheard = since;
        std::mem::take(&mut entry.critical)
    }

    pub(super) fn is_unheard_since(&self, node: u32, since: Time) -> bool {
        self.entries[node as usize].unheard == Some(since)
    }

    pub(super) fn called_critical(&mut self, node: u32) {
        self.entries[node as usize].critical = true;
    }

    pub(super) fn set_cut_off(&mut self, node: u32, since: Option<Time>) {
        let entry = &mut self.entries[node as usize];
        entry.cut_off = since.map(|now| entry.cut_off.unwrap_or(now));
    }

    pub(super) fn cut_off(&self, node: u32) -> Option<Time> {
        self.entries[node as usize].cut_off
    }

    fn listed(&self) -> Vec<u32> {
        let listed = (0..).zip(&self.entries).filter(|(_, e)| e.hidden == 0);
        listed.map(|(i, _)| i).collect()
    }
}

impl<P: Policy> Engine<'_, P> {
    /// Nodes that join later are not in the catalog before.
    pub(super) fn schedule_late_nodes(&mut self) {
        let groups = self.scenario.nodes.iter();
        let each = groups.flat_map(|g| std::iter::repeat_n(g.from, g.count as usize));
        let late: Vec<_> = (0..).zip(each).filter(|(_, f)| !f.is_zero()).collect();
        for (node, from) in late {
            self.catalog.hide(node, true);
            let index = u32::try_from(self.spells.len()).unwrap_or(u32::MAX);
            self.spells.push(crate::world::Episode {
                from: Time::ZERO,
                until: Time::after(from),
                nodes: vec![node],
                kind: crate::scenario::Kind::CatalogWithout,
            });
            let end = Happening::Spell {
                index,
                begins: false,
            };
            self.queue.push(Time::after(from), end);
        }
    }

    /// The catalog changed: each ingest's watch answers a little later.
    pub(super) fn tell_ingests(&mut self) {
        let watch = self.scenario.network.watch;
        for ingest in 0..u32::try_from(self.ingests.len()).unwrap_or(u32::MAX) {
            let noise = self.world.noise;
            let share = noise.uniform(For::Catalog, u64::from(ingest), self.now.nanos());
            self.queue.push(
                self.now + watch.mul_f64(0.5 + share),
                Happening::Members(ingest),
            );
        }
    }

    /// An ingest's watch answers: it keeps what it has where the answer cannot be believed.
    pub(super) fn members(&mut self, index: usize) {
        if self.catalog.frozen {
            return;
        }
        let grace = self.scenario.network.empty_grace;
        let mut listed = self.catalog.listed();
        if self.catalog.empty {
            listed.clear();
        }
        let ingest = &mut self.ingests[index];
        if listed.is_empty() {
            let since = *ingest.emptied.get_or_insert(self.now);
            if self.now.since(since) < grace {
                let number = u32::try_from(index).unwrap_or(u32::MAX);
                self.queue.push(since + grace, Happening::Members(number));
                return;
            }
        } else {
            ingest.emptied = None;
        }
        let mut cx = Context {
            now: self.now,
            zone: ingest.zone,
            world: &self.world,
            actions: &mut self.actions,
        };
        ingest.policy.members(&listed, &mut cx);
        // Whoever waited for a node may find one now.
        ingest.freed = true;
        self.serve_waiting(index);
    }
}
