//! Faults begin and end.

use super::{Engine, Happening, What};
use crate::policy::{End, Failure, Policy};
use crate::scenario::Kind;
use crate::time::Time;
use crate::world::Condition;

impl<P: Policy> Engine<'_, P> {
    pub(super) fn spell(&mut self, index: usize, begins: bool) {
        let spell = self.spells[index].clone();
        match spell.kind {
            Kind::CatalogFrozen => {
                self.catalog.frozen = begins;
                if !begins {
                    self.tell_ingests();
                }
            }
            Kind::CatalogEmpty => {
                self.catalog.empty = begins;
                self.tell_ingests();
            }
            Kind::CatalogWithout => {
                for node in spell.nodes {
                    self.catalog.hide(node, begins);
                }
                self.tell_ingests();
            }
            Kind::Poison(share) => self.poison = if begins { share } else { 0.0 },
            kind => {
                for node in spell.nodes {
                    self.befalls(node, kind, begins);
                }
            }
        }
    }

    fn befalls(&mut self, node: u32, kind: Kind, begins: bool) {
        let faults = &mut self.faults[node as usize];
        if begins {
            faults.push(kind);
        } else if let Some(i) = faults.iter().position(|f| *f == kind) {
            faults.swap_remove(i);
        }
        let before = self.world.node(node).condition;
        let after = Condition::of(faults);
        self.changes(node, after, begins);
        if (after.dead && !before.dead) || (after.hang && !before.hang) {
            self.lose(node, after.dead);
        }
        let unheard = |c: &Condition| c.dead || c.is_silent();
        match (unheard(&before), unheard(&after)) {
            (false, true) => {
                let check = self.scenario.network.check;
                self.catalog.unheard(node, Some(self.now));
                self.queue.push(
                    self.now + check,
                    Happening::Critical {
                        node,
                        since: self.now,
                    },
                );
            }
            (true, false) if self.catalog.unheard(node, None) => {
                self.catalog.hide(node, false);
                self.tell_ingests();
            }
            _ => {}
        }
        self.catalog
            .set_cut_off(node, after.partition.then_some(self.now));
    }

    /// From now on something else is the matter with the node. When it is well again is known
    /// at once: nobody would find out who sends it nothing.
    fn changes(&mut self, index: u32, after: Condition, begins: bool) {
        let node = self.world.node_mut(index);
        node.condition = after;
        node.shows_at = Time::NEVER;
        if !begins {
            node.shown = after;
        }
    }

    /// Whoever looks at what comes from the node, or does not come, knows by `at` what is the
    /// matter with it.
    pub(super) fn shows(&mut self, index: u32, at: Time) {
        let node = self.world.node_mut(index);
        if node.shown != node.condition && at < node.shows_at {
            node.shows_at = at;
            self.queue.push(at, Happening::Shown(index));
        }
    }

    pub(super) fn shown(&mut self, index: u32) {
        let node = self.world.node_mut(index);
        if node.shows_at <= self.now {
            node.shows_at = Time::NEVER;
            node.shown = node.condition;
        }
    }

    /// A process that died or stands still gives back nothing of what it had. Whoever has a
    /// connection to one that died hears of it.
    fn lose(&mut self, node: u32, heard: bool) {
        let should_end = self.world.node(node).first_end();
        if let Some(at) = if heard { Some(self.now) } else { should_end } {
            self.shows(node, at);
        }
        for attempt in self.world.node_mut(node).lose_all() {
            self.attempts[attempt as usize].lost = self.now;
            if heard {
                let end = End::Failed(Failure::Broken);
                self.answer(attempt, What::End(end), self.now, 0.0);
            }
        }
    }

    /// The catalog's check has failed for long enough, if it still fails.
    pub(super) fn critical(&mut self, node: u32, since: Time) {
        if self.catalog.is_unheard_since(node, since) {
            self.catalog.hide(node, true);
            self.catalog.called_critical(node);
            self.tell_ingests();
        }
    }
}
