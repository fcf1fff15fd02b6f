use std::time::Duration;

use super::attempts::{Picker, Rules};
use super::{Context, Segment};
use crate::world::{Question, rendition_bits};

/// Knows every node's true speed and queue and what is the matter with it, and picks the
/// earliest finish; sends again as soon as what it sent is lost, and nothing bounds it.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Whether each node is a member.
    members: Vec<bool>,
}

impl Picker for Oracle {
    fn rules(&self) -> Rules {
        Rules {
            attempts: u32::MAX,
            bounded: false,
            claims: 1,
            watch: Some(Duration::from_millis(100)),
            ..Rules::default()
        }
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
        let top = segment.works.first().copied().unwrap_or(0);
        let question = Question {
            zone: cx.zone,
            work: segment.works.iter().sum(),
            input_bits: segment.input_bytes as f64 * 8.0,
            output_bits: rendition_bits(top),
            deadline: segment.deadline,
        };
        let member = |n: u32| self.members[n as usize] && !tried.contains(&n);
        cx.world
            .earliest_finish(&question, cx.now, member)
            .map(|(node, _)| node)
    }

    fn is_lost(&self, node: u32, cx: &Context<'_>) -> bool {
        let c = &cx.world.node(node).condition;
        c.dead || c.is_silent()
    }
}
