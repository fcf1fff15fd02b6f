//! One ingest, its nodes, and segments on their way; everything that a plan does is checked as
//! it does it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rackcast_route::plan::{
    Action, AttemptId, CancelReason, End, Event, GiveUp, Job, Plan, Renditions, Step,
};
use rackcast_route::table::{FailureKind, NodeRef};
use rackcast_route::{Endpoint, Member, Router, RouterConfig, StreamKey};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Output pixels of a ladder of three rungs, for a node that makes 100 million a second and
/// slot: together 0.1 s.
pub(crate) const WORKS: [u64; 3] = [6_000_000, 3_000_000, 1_000_000];
pub(crate) const MEDIA: Duration = Duration::from_secs(2);
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn member(name: &str, zone: &str, slots: u32) -> Member {
    Member {
        id: name.into(),
        zone: zone.into(),
        endpoint: Endpoint::new(name, 1),
        slots,
        pixel_rate: Some(100e6 * f64::from(slots)),
        weight: 1,
    }
}

/// An ingest on virtual time.
pub(crate) struct Ingest {
    pub(crate) router: Router,
    pub(crate) now: Instant,
    pub(crate) rng: SmallRng,
    pub(crate) stream: StreamKey,
    /// Copies of its segments run in parallel.
    pub(crate) precious: bool,
}

/// A segment on its way.
pub(crate) struct Segment {
    pub(crate) plan: Plan,
    pub(crate) out: BTreeMap<AttemptId, (NodeRef, Renditions)>,
    pub(crate) sends: Vec<Send>,
    pub(crate) delivered: Renditions,
    pub(crate) given_up: Vec<(Renditions, GiveUp)>,
    pub(crate) cancelled: Vec<AttemptId>,
    pub(crate) notes: Vec<Step>,
    pub(crate) freed: usize,
    pub(crate) abandoned: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Send {
    pub(crate) attempt: AttemptId,
    pub(crate) node: NodeRef,
    pub(crate) name: String,
    pub(crate) renditions: Renditions,
    pub(crate) number: u32,
    pub(crate) suspect: bool,
    pub(crate) at: Instant,
    /// What is refused later was taken on.
    pub(crate) refusable_until: Instant,
}

impl Ingest {
    /// Over nodes of four slots: their names and zones.
    pub(crate) fn over(nodes: &[(&str, &str)]) -> Self {
        Self::with(RouterConfig::default(), nodes)
    }

    pub(crate) fn with(config: RouterConfig, nodes: &[(&str, &str)]) -> Self {
        let now = Instant::now();
        let mut router = Router::new(config, "ingest", now);
        let members = nodes.iter().map(|(name, zone)| member(name, zone, 4));
        router.table_mut().update_members(members, now);
        let stream = router.open(now);
        Self {
            router,
            now,
            rng: SmallRng::seed_from_u64(1),
            stream,
            precious: false,
        }
    }

    pub(crate) fn job(&self) -> Job {
        Job {
            stream: self.stream,
            sequence: 7,
            works: WORKS.to_vec(),
            asked: Renditions::first(WORKS.len()),
            reduced: None,
            media: MEDIA,
            deadline: self.now + PATIENCE,
            input_bytes: 1 << 20,
            precious: self.precious,
        }
    }

    pub(crate) fn begin(&mut self) -> Segment {
        let job = self.job();
        self.begin_job(job)
    }

    pub(crate) fn begin_job(&mut self, job: Job) -> Segment {
        let mut segment = Segment {
            plan: Plan::new(job, self.now),
            out: BTreeMap::new(),
            sends: Vec::new(),
            delivered: Renditions::NONE,
            given_up: Vec::new(),
            cancelled: Vec::new(),
            notes: Vec::new(),
            freed: 0,
            abandoned: false,
        };
        self.tell(&mut segment, Event::Begin);
        segment
    }

    /// Tells a segment something now, and holds what it does against the rules.
    pub(crate) fn tell(&mut self, segment: &mut Segment, event: Event) {
        segment.abandoned |= event == Event::Abandoned;
        let mut actions = Vec::new();
        let plan = &mut segment.plan;
        plan.step(
            &mut self.router,
            event,
            self.now,
            &mut self.rng,
            &mut actions,
        );
        if let Event::Ended { attempt, .. } = event {
            segment.out.remove(&attempt);
        }
        for action in actions {
            self.take(segment, event, action);
        }
        let job = segment.plan.job();
        assert!(
            segment
                .delivered
                .intersection(segment.answered())
                .is_empty()
        );
        if segment.plan.is_over() {
            assert!(segment.out.is_empty(), "over, with {:?} out", segment.out);
            assert_eq!(segment.plan.wake(), None);
            if !segment.abandoned {
                let all = segment.delivered.union(segment.answered());
                assert_eq!(all, job.asked, "over, and not all is answered");
            }
        } else {
            let wake = segment.plan.wake().expect("a plan that is not over wakes");
            assert!(wake > self.now && wake <= job.deadline.max(self.now + ms(1)));
        }
    }

    fn refusable_until(&self, node: NodeRef) -> Instant {
        let network = self.router.table().network(node, self.now);
        self.now + (self.router.config().refusals.within + 2 * network).min(ms(1000))
    }

    fn take(&mut self, segment: &mut Segment, event: Event, action: Action) {
        match action {
            Action::Send {
                attempt,
                node,
                renditions,
                number,
                suspect,
            } => {
                let job = segment.plan.job();
                assert!(self.now < job.deadline, "sent after the deadline");
                assert!(!renditions.is_empty() && job.asked.contains_all(renditions));
                assert!(renditions.intersection(segment.delivered).is_empty());
                let busy = segment.out.values().any(|(other, _)| *other == node);
                assert!(!busy, "twice on one node at the same time");
                assert!(segment.out.insert(attempt, (node, renditions)).is_none());
                let name = self.name(node);
                segment.sends.push(Send {
                    attempt,
                    node,
                    name,
                    renditions,
                    number,
                    suspect,
                    at: self.now,
                    refusable_until: self.refusable_until(node),
                });
            }
            Action::Cancel { attempt } => {
                assert!(segment.out.remove(&attempt).is_some(), "nothing to cancel");
                segment.cancelled.push(attempt);
            }
            Action::Deliver { attempt, index } => {
                assert_eq!(event, Event::Rendition { attempt, index });
                assert!(!segment.delivered.contains(index), "delivered twice");
                assert!(!segment.answered().contains(index), "given up before");
                segment.delivered = segment.delivered.union(Renditions::only(index));
            }
            Action::GiveUp { renditions, reason } => {
                assert!(!renditions.is_empty());
                assert!(segment.answered().intersection(renditions).is_empty());
                segment.given_up.push((renditions, reason));
            }
            Action::NodeFreed => segment.freed += 1,
            Action::Note(step) => {
                let last = segment.plan.trail().entries().iter();
                assert!(
                    last.map(|e| &e.step).any(|s| *s == step)
                        || segment.plan.trail().left_out() > 0
                );
                segment.notes.push(step);
            }
            Action::Level(_) => {}
        }
    }

    pub(crate) fn name(&self, node: NodeRef) -> String {
        let member = self.router.table().member(node);
        member.map_or_else(String::new, |m| m.id.to_string())
    }

    pub(crate) fn zone(&self, node: NodeRef) -> String {
        self.router.table().member(node).unwrap().zone.clone()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Wakes a segment whenever it wants to be, for so long or until it does something.
    pub(crate) fn wait(&mut self, segment: &mut Segment, time: Duration) {
        let until = self.now + time;
        let before = segment.done();
        while let Some(wake) = segment.plan.wake().filter(|at| *at <= until) {
            self.now = wake.max(self.now);
            self.tell(segment, Event::Wake);
            if segment.done() != before {
                return;
            }
        }
        self.now = until;
    }

    /// A submission answers all that was asked, after so long.
    pub(crate) fn complete(&mut self, segment: &mut Segment, attempt: AttemptId, after: Duration) {
        self.pass(after);
        let (_, renditions) = segment.out[&attempt];
        for index in renditions.iter() {
            self.tell(segment, Event::Rendition { attempt, index });
        }
        let end = End::Complete {
            timing: None,
            load: None,
        };
        self.tell(segment, Event::Ended { attempt, end });
    }

    pub(crate) fn rendition(&mut self, segment: &mut Segment, attempt: AttemptId, index: u8) {
        self.tell(segment, Event::Rendition { attempt, index });
    }

    pub(crate) fn fail(&mut self, segment: &mut Segment, attempt: AttemptId, kind: FailureKind) {
        let end = End::Failed { kind };
        self.tell(segment, Event::Ended { attempt, end });
    }

    pub(crate) fn refuse(&mut self, segment: &mut Segment, attempt: AttemptId) {
        let end = End::Refused {
            code: "no-slot",
            retry_after: Some(ms(500)),
            load: None,
        };
        self.tell(segment, Event::Ended { attempt, end });
    }

    pub(crate) fn claim(&mut self, segment: &mut Segment, attempt: AttemptId) {
        let end = End::Claim {
            code: "undecodable",
        };
        self.tell(segment, Event::Ended { attempt, end });
    }

    /// Segments that all go well, one after another: the fleet gets known, and so does what its
    /// work takes.
    pub(crate) fn warm_up(&mut self, segments: usize, each: Duration) {
        for _ in 0..segments {
            let mut segment = self.begin();
            let attempt = segment.last().attempt;
            self.complete(&mut segment, attempt, each);
            assert!(segment.plan.is_over(), "{:?}", segment.plan);
        }
    }

    /// Segments that nodes take on meanwhile.
    pub(crate) fn others(&mut self, segments: usize) {
        self.warm_up(segments, ms(1));
    }

    /// Spends what retries may cost at this moment.
    pub(crate) fn spend_retries(&mut self) {
        for _ in 0..3 {
            if self.router.snapshot(self.now).retries_left == 0 {
                return;
            }
            let mut segment = self.begin();
            let attempt = segment.last().attempt;
            self.fail(&mut segment, attempt, FailureKind::Internal);
            self.tell(&mut segment, Event::Abandoned);
        }
        panic!("the budget cannot be spent");
    }
}

impl Segment {
    pub(crate) fn last(&self) -> &Send {
        self.sends.last().expect("something was sent")
    }

    fn done(&self) -> (usize, usize, usize) {
        (self.sends.len(), self.given_up.len(), self.cancelled.len())
    }

    pub(crate) fn answered(&self) -> Renditions {
        let given_up = self.given_up.iter().map(|(renditions, _)| *renditions);
        given_up.fold(Renditions::NONE, Renditions::union)
    }

    pub(crate) fn was_cancelled(&self, attempt: AttemptId, reason: CancelReason) -> bool {
        let entries = self.plan.trail().entries().iter();
        self.cancelled.contains(&attempt)
            && entries.map(|e| &e.step).any(|step| match step {
                Step::Cancelled {
                    attempt: of, why, ..
                } => *of == attempt && *why == reason,
                _ => false,
            })
    }
}
