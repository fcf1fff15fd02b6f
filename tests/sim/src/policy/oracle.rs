use std::time::Duration;

use super::attempts::{Picker, Rules};
use super::{Context, Segment};
use crate::time::Time;
use crate::world::{Condition, Node, Question, rendition_bits};

/// Knows every node's true speed and queue and what is the matter with it, and picks the
/// earliest finish; sends again as soon as what it sent is lost, and nothing bounds it.
///
/// The *late* one knows of a fault only what answers can have told: not before the first
/// submission that the node took on since it began has come to nothing, or takes longer than all
/// but one in a hundred would by chance on this node when it is well. Then it sends again, within
/// the bound that everybody keeps, what would be there sooner from elsewhere. It is a mark for
/// whoever has to find out.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// Whether each node is a member.
    members: Vec<bool>,
    knows: fn(&Node) -> &Condition,
    /// Sends again what is late on a node that is not well.
    resends: bool,
    rules: Rules,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        Self {
            members: Vec::new(),
            knows: |node| &node.condition,
            resends: false,
            rules: Rules {
                attempts: u32::MAX,
                bounded: false,
                claims: 1,
                watch: Some(Duration::from_millis(100)),
                ..Rules::default()
            },
        }
    }

    pub(crate) fn late() -> Self {
        let oracle = Self::new();
        Self {
            knows: |node| &node.shown,
            resends: true,
            rules: Rules {
                bounded: true,
                watch: Some(Duration::from_millis(5)),
                ..oracle.rules
            },
            ..oracle
        }
    }

    fn earliest(
        &self,
        segment: &Segment,
        cx: &Context<'_>,
        may: impl Fn(u32) -> bool,
    ) -> Option<(u32, Time)> {
        let top = segment.works.first().copied().unwrap_or(0);
        let question = Question {
            zone: cx.zone,
            work: segment.works.iter().sum(),
            input_bits: segment.input_bytes as f64 * 8.0,
            output_bits: rendition_bits(top),
            deadline: segment.deadline,
            knows: self.knows,
        };
        let member = |n: u32| self.members[n as usize] && may(n);
        cx.world.earliest_finish(&question, cx.now, member)
    }
}

impl Picker for Oracle {
    fn rules(&self) -> Rules {
        self.rules
    }

    /// It knows better than the catalog, but goes by it: what is not a member gets nothing.
    fn members(&mut self, nodes: &[u32], cx: &Context<'_>) {
        self.members.clear();
        self.members.resize(cx.world.nodes.len(), false);
        for node in nodes {
            self.members[*node as usize] = true;
        }
    }

    fn pick(&mut self, segment: &Segment, tried: &[u32], cx: &Context<'_>) -> Option<u32> {
        let untried = |n: u32| !tried.contains(&n);
        self.earliest(segment, cx, untried).map(|(node, _)| node)
    }

    fn is_lost(&self, segment: &Segment, node: u32, cx: &Context<'_>) -> bool {
        let n = cx.world.node(node);
        let known = (self.knows)(n);
        if known.dead || known.is_silent() {
            return true;
        }
        // It does not send again what chance makes late, as long as the node is well.
        if self.resends && *known != Condition::default() {
            let queued = || {
                let work = segment.works.iter().sum();
                let free = cx.now + n.first_free(cx.now);
                n.is_queued(segment.deadline)
                    .then(|| free + cx.world.mean_service(node, work, 1))
            };
            let Some(there) = n.end_of(segment.deadline).or_else(queued) else {
                return false; // It is on its way back.
            };
            let other = self.earliest(segment, cx, |n| n != node);
            return other.is_some_and(|(_, at)| at < there);
        }
        false
    }
}
