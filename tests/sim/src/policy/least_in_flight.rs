use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::attempts::{Ended, Picker};
use super::{Context, Segment};
use crate::time::Time;

/// The fewest of our own segments in flight for each of its slots; among equals, by chance.
#[derive(Debug)]
pub(crate) struct LeastInFlight {
    nodes: Vec<u32>,
    in_flight: Vec<u32>,
    rng: SmallRng,
}

impl LeastInFlight {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            in_flight: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }
}

impl Picker for LeastInFlight {
    fn members(&mut self, nodes: &[u32], cx: &Context<'_>) {
        nodes.clone_into(&mut self.nodes);
        self.in_flight.resize(cx.world.nodes.len(), 0);
    }

    fn pick(&mut self, _segment: &Segment, tried: &[u32], cx: &Context<'_>) -> Option<u32> {
        let mut best: Option<(f64, u32)> = None;
        let mut equals = 0u32;
        for &node in self.nodes.iter().filter(|n| !tried.contains(n)) {
            let slots = cx.world.node(node).spec.slots as f64;
            let load = f64::from(self.in_flight[node as usize]) / slots;
            match best {
                Some((least, _)) if load > least => {}
                Some((least, _)) if load == least => {
                    equals += 1;
                    if self.rng.random_range(0..equals) == 0 {
                        best = Some((load, node));
                    }
                }
                _ => {
                    equals = 1;
                    best = Some((load, node));
                }
            }
        }
        best.map(|(_, node)| node)
    }

    fn sent(&mut self, node: u32) {
        self.in_flight[node as usize] += 1;
    }

    fn ended(&mut self, _segment: &Segment, node: u32, _how: Ended, _now: Time) {
        self.in_flight[node as usize] -= 1;
    }
}
