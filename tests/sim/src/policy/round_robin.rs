use super::attempts::Picker;
use super::{Context, Segment};

/// One after another, whoever they are.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    nodes: Vec<u32>,
    next: usize,
}

impl Picker for RoundRobin {
    fn members(&mut self, nodes: &[u32], _cx: &Context<'_>) {
        nodes.clone_into(&mut self.nodes);
    }

    fn pick(&mut self, _segment: &Segment, tried: &[u32], _cx: &Context<'_>) -> Option<u32> {
        for _ in 0..self.nodes.len() {
            let node = self.nodes[self.next % self.nodes.len()];
            self.next += 1;
            if !tried.contains(&node) {
                return Some(node);
            }
        }
        None
    }
}
