use std::collections::{HashMap, VecDeque};

use super::attempts::{Ended, Picker, Rules};
use super::{Context, Segment};
use crate::noise::For;
use crate::time::Time;

/// A stream stays while its last segment took no longer than it plays, or than this.
const AT_LEAST: f64 = 1.5;

/// go-livepeer's rule (0.9.1): each stream has a list of nodes of its own, the nearest first,
/// and stays with one while its last round trip is at most `max(1.5 s, duration)`. A node that
/// failed or was slower goes to the list's end. Three attempts at once one after another, and
/// no bound on what all of them add.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    nodes: Vec<u32>,
    streams: HashMap<u32, VecDeque<u32>>,
}

impl Picker for Nearest {
    fn rules(&self) -> Rules {
        Rules {
            bounded: false,
            refusals_count: true,
            share: 1.0,
            ..Rules::default()
        }
    }

    fn members(&mut self, nodes: &[u32], _cx: &Context<'_>) {
        nodes.clone_into(&mut self.nodes);
        for list in self.streams.values_mut() {
            list.retain(|n| nodes.contains(n));
            let new: Vec<u32> = nodes
                .iter()
                .filter(|n| !list.contains(n))
                .copied()
                .collect();
            list.extend(new);
        }
    }

    fn pick(&mut self, segment: &Segment, tried: &[u32], cx: &Context<'_>) -> Option<u32> {
        let nodes = &self.nodes;
        let list = self.streams.entry(segment.stream).or_insert_with(|| {
            // By the round trip that its discovery measures once, which chance decides within
            // a zone.
            let mut list = nodes.clone();
            let stream = u64::from(segment.stream);
            list.sort_by_key(|n| {
                let rtt = cx.world.mean_round_trip(cx.zone, *n);
                (
                    rtt,
                    cx.world.noise.hash(For::Catalog, stream, u64::from(*n)),
                )
            });
            list.into()
        });
        list.iter().find(|n| !tried.contains(n)).copied()
    }

    fn ended(&mut self, segment: &Segment, node: u32, how: Ended, _now: Time) {
        let stays = match how {
            Ended::Done(took) => took.as_secs_f64() <= segment.media.as_secs_f64().max(AT_LEAST),
            Ended::Cancelled => true,
            Ended::Failed(_) | Ended::Refused => false,
        };
        let Some(list) = self.streams.get_mut(&segment.stream) else {
            return;
        };
        if !stays && let Some(i) = list.iter().position(|n| *n == node) {
            list.remove(i);
            list.push_back(node);
        }
    }
}
