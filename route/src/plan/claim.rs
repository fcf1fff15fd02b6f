//! A node says that it is the segment's fault.

use rand::Rng;

use super::reason::GiveUp;
use super::trail::{CancelReason, Step};
use super::{Context, Plan};
use crate::table::NodeRef;

impl Plan {
    /// A node blames the segment. If others had it already, this one may be wrong.
    pub(super) fn claimed<R: Rng>(&mut self, node: NodeRef, cx: &mut Context<'_, R>) {
        self.claims.push(node);
        if !self.delivered.is_empty() {
            self.contradict(cx);
        }
    }

    /// The segment could be transcoded after all: whoever said otherwise failed.
    pub(super) fn contradict<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        while let Some(node) = self.claims.pop() {
            let member = cx.router.table().member(node);
            let name = member.map(|m| m.id.clone());
            let table = cx.router.table_mut();
            let change = table.contradicted(node, cx.now, cx.rng);
            // Of a node that has left the catalog there is nothing to tell.
            let Some(name) = name else { continue };
            let step = Step::Contradicted { node: name.clone() };
            self.record(step, cx);
            if let Some(change) = change {
                self.record(Step::Standing { node: name, change }, cx);
            }
        }
    }

    /// Whether the segment is poison, and if so, the end of it. One claim is believed when a
    /// second node agrees, or had the segment and failed: whatever it died of, a third one is
    /// not risked.
    pub(super) fn found_poison<R: Rng>(&mut self, cx: &mut Context<'_, R>) -> bool {
        let agreed = self.claims.len() > 1;
        let failed = self.claims.len() == 1 && self.seen.len() > 1;
        if !agreed && (!failed || self.useful().next().is_some()) {
            return false;
        }
        for node in &self.claims {
            cx.router.table_mut().confirmed(*node, cx.now);
        }
        self.cancel_all(CancelReason::Poison, cx);
        self.give_up(self.missing, GiveUp::Poison, cx);
        true
    }
}
