use std::collections::HashMap;
use std::time::Duration;

use rackcast_route::degrade::Reduction;
use rackcast_route::plan::{self, AttemptId};
use rackcast_route::table::{FailureKind, NodeRef, Timing};
use rackcast_route::{Endpoint, Member, NodeId, Router, RouterConfig, StreamKey};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Action, Asked, Context, End, Event, Failure, Policy, Segment};
use crate::time::{Clock, Time};
use crate::world::{Load, World};

/// The policy that runs in production, with its defaults: this only translates.
pub(crate) struct Ours {
    router: Router,
    streams: HashMap<u32, StreamKey>,
    /// What the router calls the nodes that are being probed.
    probing: HashMap<u32, NodeRef>,
    clock: Clock,
    rng: SmallRng,
    actions: Vec<plan::Action>,
}

impl Ours {
    pub(crate) fn new(ingest: u32, seed: u64) -> Self {
        let clock = Clock::new();
        let now = clock.instant(Time::ZERO);
        Self {
            router: Router::new(RouterConfig::default(), &format!("ingest-{ingest}"), now),
            streams: HashMap::new(),
            probing: HashMap::new(),
            clock,
            rng: SmallRng::seed_from_u64(seed),
            actions: Vec::new(),
        }
    }

    fn translate(&self, action: &plan::Action) -> Option<Action> {
        Some(match action {
            plan::Action::Send {
                attempt,
                node,
                renditions,
                ..
            } => Action::Send {
                attempt: attempt.0,
                node: number(&self.router.table().member(*node)?.id)?,
                renditions: renditions.iter().fold(0, |set, i| set | 1 << i),
            },
            plan::Action::Cancel { attempt } => Action::Cancel { attempt: attempt.0 },
            plan::Action::Deliver { index, .. } => Action::Deliver { index: *index },
            plan::Action::NodeFreed => Action::NodeFreed,
            plan::Action::GiveUp { .. } | plan::Action::Note(_) | plan::Action::Level(_) => {
                return None;
            }
        })
    }
}

/// A node's ID in the catalog ends in its number.
pub(crate) fn member(world: &World, node: u32) -> Member {
    let spec = &world.node(node).spec;
    let id = format!("{}-{node}", spec.name);
    Member {
        endpoint: Endpoint::new(&id, 7000),
        id: id.into(),
        zone: world.zones[spec.zone].clone(),
        slots: u32::try_from(spec.slots).unwrap_or(u32::MAX),
        pixel_rate: Some(spec.claimed_rate),
        weight: 1,
    }
}

fn number(id: &NodeId) -> Option<u32> {
    id.as_str().rsplit_once('-')?.1.parse().ok()
}

impl Policy for Ours {
    type Plan = plan::Plan;

    fn members(&mut self, nodes: &[u32], cx: &mut Context<'_>) {
        let now = self.clock.instant(cx.now);
        let members: Vec<Member> = nodes.iter().map(|n| member(cx.world, *n)).collect();
        self.router.table_mut().update_members(members, now);
    }

    fn plan(&mut self, segment: Segment, cx: &mut Context<'_>) -> (plan::Plan, Asked) {
        let now = self.clock.instant(cx.now);
        let router = &mut self.router;
        let stream = *self
            .streams
            .entry(segment.stream)
            .or_insert_with(|| router.open(now));
        let allowance = router.allowance(stream, &segment.works, segment.media, now);
        let ladder = plan::Renditions::first(segment.works.len());
        // A circuit's doing is a loss; only overload is a reason to ask for less.
        let withheld = matches!(allowance.why, Some(Reduction::Circuit { .. }));
        let asked = if withheld { ladder } else { allowance.asked };
        let job = plan::Job {
            stream,
            sequence: segment.sequence,
            works: segment.works.to_vec(),
            asked: allowance.asked,
            reduced: allowance.why,
            media: segment.media,
            deadline: self.clock.instant(segment.deadline),
            input_bytes: segment.input_bytes,
            precious: false,
        };
        let asked = Asked {
            renditions: asked.iter().fold(0, |set, i| set | 1 << i),
            withheld,
        };
        (plan::Plan::new(job, now), asked)
    }

    fn step(&mut self, plan: &mut plan::Plan, event: Event, cx: &mut Context<'_>) {
        let event = match event {
            Event::Begin => plan::Event::Begin,
            Event::Wake => plan::Event::Wake,
            Event::Freed => plan::Event::Freed,
            Event::Rendition { attempt, index } => plan::Event::Rendition {
                attempt: AttemptId(attempt),
                index,
            },
            Event::Ended { attempt, end } => plan::Event::Ended {
                attempt: AttemptId(attempt),
                end: ended(end),
            },
        };
        let now = self.clock.instant(cx.now);
        let mut actions = std::mem::take(&mut self.actions);
        plan.step(&mut self.router, event, now, &mut self.rng, &mut actions);
        for action in actions.drain(..) {
            cx.actions.extend(self.translate(&action));
        }
        self.actions = actions;
    }

    fn wake(&self, plan: &plan::Plan) -> Option<Time> {
        plan.wake().map(|at| self.clock.time(at))
    }

    fn is_over(&self, plan: &plan::Plan) -> bool {
        plan.is_over()
    }

    fn story(&self, plan: &plan::Plan) -> Vec<String> {
        let step = |e: &plan::Entry| format!("{:>7.3} s  {:?}", e.at.as_secs_f64(), e.step);
        plan.trail().entries().iter().map(step).collect()
    }

    fn to_probe(&mut self, cx: &mut Context<'_>, out: &mut Vec<u32>) {
        let now = self.clock.instant(cx.now);
        for (node, member) in self.router.table_mut().to_probe(now) {
            if let Some(number) = number(&member.id) {
                self.probing.insert(number, node);
                out.push(number);
            }
        }
    }

    fn probed(
        &mut self,
        node: u32,
        answer: Result<(Duration, Load), Failure>,
        cx: &mut Context<'_>,
    ) {
        let now = self.clock.instant(cx.now);
        let Some(node) = self.probing.remove(&node) else {
            return;
        };
        let table = self.router.table_mut();
        match answer {
            Ok((round_trip, said)) => table.probed(node, round_trip, load(said), now),
            Err(failure) => {
                // What that changes in the node's standing, the next pick shows.
                let _ = table.probe_failed(node, kind(failure), now, &mut self.rng);
            }
        }
    }

    fn close(&mut self, stream: u32, _cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.remove(&stream) {
            self.router.close(stream);
        }
    }
}

fn ended(end: End) -> plan::End {
    match end {
        End::Complete {
            queue,
            work,
            load: said,
        } => plan::End::Complete {
            timing: Some(Timing { queue, work }),
            load: Some(load(said)),
        },
        End::Refused {
            draining,
            retry_after,
            load: said,
        } => plan::End::Refused {
            code: if draining { "draining" } else { "no-slot" },
            retry_after: Some(retry_after),
            load: Some(load(said)),
        },
        End::Claim => plan::End::Claim {
            code: "undecodable",
        },
        End::Failed(failure) => plan::End::Failed {
            kind: kind(failure),
        },
    }
}

fn kind(failure: Failure) -> FailureKind {
    match failure {
        Failure::Connect => FailureKind::Connect,
        Failure::Broken => FailureKind::Broken,
        Failure::TimedOut => FailureKind::TimedOut,
        Failure::WrongMedia => FailureKind::WrongMedia,
        Failure::Internal => FailureKind::Internal,
    }
}

fn load(load: Load) -> rackcast_route::Load {
    rackcast_route::Load {
        slots: load.slots,
        jobs: load.jobs,
        draining: load.draining,
    }
}
