use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::attempts::{Ended, Picker};
use super::{Context, Segment};
use crate::time::Time;

/// linkerd's: how fast a good measure replaces a bad one, what an unknown node is taken for, and
/// what a failure is recorded as (linkerd2-proxy 4537).
const DECAY: Duration = Duration::from_secs(10);
const DEFAULT: f64 = 0.03;
const PENALTY: f64 = 5.0;

/// Two by chance, and of these the one with the lesser product of its peak-sensitive mean round
/// trip and what it has in flight: Finagle's and linkerd's balancer, as it is.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    nodes: Vec<u32>,
    known: Vec<Node>,
    rng: SmallRng,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    in_flight: u32,
    mean: f64,
    at: Time,
}

impl PeakEwma {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            known: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    fn cost(&self, node: u32, now: Time) -> f64 {
        let n = &self.known[node as usize];
        // A node of which nothing is heard is forgiven with time.
        let mean = n.mean * n.fade(now);
        mean * f64::from(n.in_flight + 1)
    }
}

impl Node {
    fn fade(&self, now: Time) -> f64 {
        (-now.since(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }

    fn observe(&mut self, seconds: f64, now: Time) {
        let keep = self.fade(now);
        self.mean = match seconds > self.mean {
            true => seconds,
            false => self.mean * keep + seconds * (1.0 - keep),
        };
        self.at = now;
    }
}

impl Picker for PeakEwma {
    fn members(&mut self, nodes: &[u32], cx: &Context<'_>) {
        nodes.clone_into(&mut self.nodes);
        let fresh = Node {
            in_flight: 0,
            mean: DEFAULT,
            at: cx.now,
        };
        self.known.resize(cx.world.nodes.len(), fresh);
    }

    fn pick(&mut self, _segment: &Segment, tried: &[u32], cx: &Context<'_>) -> Option<u32> {
        let all;
        let left = match tried {
            [] => &self.nodes,
            tried => {
                let left = self.nodes.iter().filter(|n| !tried.contains(n));
                all = left.copied().collect();
                &all
            }
        };
        let (left, nth) = (left.len(), |n: usize| left.get(n).copied());
        if left < 2 {
            return nth(0);
        }
        let a = self.rng.random_range(0..left);
        let b = (a + self.rng.random_range(1..left)) % left;
        let (a, b) = (nth(a)?, nth(b)?);
        match self.cost(b, cx.now) < self.cost(a, cx.now) {
            true => Some(b),
            false => Some(a),
        }
    }

    fn sent(&mut self, node: u32) {
        self.known[node as usize].in_flight += 1;
    }

    fn ended(&mut self, _segment: &Segment, node: u32, how: Ended, now: Time) {
        let n = &mut self.known[node as usize];
        n.in_flight -= 1;
        match how {
            Ended::Done(took) => n.observe(took.as_secs_f64(), now),
            Ended::Failed(took) => n.observe(took.as_secs_f64().max(PENALTY), now),
            Ended::Refused => n.observe(PENALTY, now),
            Ended::Cancelled => {}
        }
    }
}
