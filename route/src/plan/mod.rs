//! What next for one segment: a state machine without I/O.
//!
//! A [`Plan`] is told what happens ([`Event`]) and says what to do ([`Action`]): submit to this
//! node, cancel that submission, hand this rendition out, give those up. Who gets a submission
//! is the [table](crate::table)'s decision and what may be spent is the
//! [router](crate::Router)'s; whether there is another submission, and when, is decided here.
//!
//! - **A retry** follows a failure at once, of what is missing only, on a node that did not have
//!   the segment yet; a node that failed gets it again only when no other is left, and only
//!   if it would not certainly fail again.
//! - **A hedge**, one a segment, runs beside a submission that takes longer than nearly all of
//!   its class, while the fleet has slots to spare. The first verified rendition wins; whoever
//!   has nothing left to win is cancelled at once. A hedge that is refused is not repeated. It is
//!   due early when the node itself has come under suspicion; the trial of a node that was
//!   ejected has one from the start, and is not cancelled for losing: it is to show how long it
//!   takes.
//! - **Taking over**: a submission that hangs is cancelled for a node that can still make it; of two
//!   that both do, the one that was sent first.
//! - **Waiting**: when every node is full or pushes back, or the budget is empty, a plan waits,
//!   but never past the deadline, at which everything is cancelled and answered.
//! - **A claim** that the segment is at fault needs a second node. If the two agree, or the
//!   second fails too, the segment is poison and no third node sees it; if the second
//!   transcodes it, the first one failed.
//! - **Too late**: what is predicted not to be there in time is not sent, except as the only
//!   chance; of a retry that is short of time the lowest rungs are asked for.
//!
//! Every rendition that was asked is answered once: delivered or given up. Events that come
//! late, twice or for unknown submissions change nothing.

mod attempt;
mod claim;
mod end;
mod flight;
mod job;
mod place;
mod reason;
mod rescue;
mod submit;
mod trail;

use std::time::{Duration, Instant};

use rand::Rng;

pub use attempt::AttemptId;
pub use job::{Action, End, Event, Job};
pub use reason::GiveUp;
pub use trail::{
    CancelReason, Cause, Ending, Entry, MAX_STEPS, NotHedged, Sent, Step, Trail, Wait,
};

pub use crate::renditions::Renditions;
use crate::router::circuit::Verdict;
pub use crate::router::{Attempts, Hedge, Precious};
use crate::router::{Router, Share};
use crate::table::{FailureKind, NodeRef};
use flight::Flight;

/// One segment on its way: told what happens, it says what to do.
///
/// Whoever runs it must see it to its end: a plan that is dropped before [`Plan::is_over`]
/// without [`Event::Abandoned`] leaves its nodes looking busy for ever.
#[derive(Debug)]
pub struct Plan {
    job: Job,
    trail: Trail,
    begun: bool,
    over: bool,
    /// Neither delivered nor given up.
    missing: Renditions,
    delivered: Renditions,
    flights: Vec<Flight>,
    next: u32,
    /// Submissions that a node took on and that are over.
    taken: u32,
    /// Nodes that have it, or took it on.
    seen: Vec<NodeRef>,
    /// Nodes that failed.
    failed: Vec<Failure>,
    /// Nodes that pushed it back.
    refused_by: Vec<NodeRef>,
    /// Nodes that blame the segment.
    claims: Vec<NodeRef>,
    /// Some node took the segment on, or may have: any other submission is one beyond the first.
    counted: bool,
    /// What it brings into the budget, and the submission on which that depends.
    share: Option<(AttemptId, Share)>,
    /// Nothing came of the last submission, whose body no node took: the next one is paid for as one
    /// after a refusal.
    refused: bool,
    /// The last submission was pushed back by its node.
    pushed_back: bool,
    /// What it brought into the budget was given back, since it was refused.
    share_back: bool,
    hedged: bool,
    not_hedged: Option<NotHedged>,
    troubled: bool,
    /// What the last failure was, for the record.
    last_failure: Option<FailureKind>,
    waits: Option<Wait>,
    /// What it last waited for since it last submitted.
    last_wait: Option<Wait>,
    wake: Option<Instant>,
    end: Option<GiveUp>,
}

/// A node that failed, and when it may be asked again at the earliest.
#[derive(Debug, Clone, Copy)]
struct Failure {
    node: NodeRef,
    /// `None`: it would certainly fail again.
    again: Option<Instant>,
    /// It could not even be reached, so that it has not seen the segment.
    unseen: bool,
}

/// What a step works with.
struct Context<'a, R> {
    router: &'a mut Router,
    now: Instant,
    rng: &'a mut R,
    actions: &'a mut Vec<Action>,
}

impl Plan {
    /// A segment that begins now. The first event must be [`Event::Begin`].
    pub fn new(job: Job, now: Instant) -> Self {
        let ladder = Renditions::first(job.works.len());
        Self {
            missing: job.asked.intersection(ladder),
            job,
            trail: Trail::new(now),
            begun: false,
            over: false,
            delivered: Renditions::NONE,
            flights: Vec::with_capacity(2),
            next: 0,
            taken: 0,
            seen: Vec::new(),
            failed: Vec::new(),
            refused_by: Vec::new(),
            claims: Vec::new(),
            counted: false,
            share: None,
            refused: false,
            pushed_back: false,
            share_back: false,
            hedged: false,
            not_hedged: None,
            troubled: false,
            last_failure: None,
            waits: None,
            last_wait: None,
            wake: None,
            end: None,
        }
    }

    /// Takes an event in; what is to be done for it is appended to `actions`, in this order.
    pub fn step(
        &mut self,
        router: &mut Router,
        event: Event,
        now: Instant,
        rng: &mut impl Rng,
        actions: &mut Vec<Action>,
    ) {
        if self.over {
            return;
        }
        let mut cx = Context {
            router,
            now,
            rng,
            actions,
        };
        match event {
            Event::Abandoned => return self.abandon(&mut cx),
            Event::Begin if !self.begun => self.begin(&mut cx),
            _ if !self.begun => return,
            Event::Begin | Event::Wake | Event::Freed => {}
            Event::Rendition { attempt, index } => self.rendition(attempt, index, &mut cx),
            Event::Ended { attempt, end } => self.ended(attempt, end, &mut cx),
        }
        self.advance(&mut cx);
    }

    /// When [`Event::Wake`] is due at the latest; `None` once it is over.
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// What was decided so far, and why.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The segment.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Every rendition is answered and nothing is in flight: no event matters any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What it waits for before it can submit again, if it does: whether [`Event::Freed`] is
    /// of any use to it.
    pub fn waits(&self) -> Option<Wait> {
        self.waits
    }

    fn begin<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        self.begun = true;
        if let Some(shift) = cx.router.take_shift() {
            cx.actions.push(Action::Level(shift));
        }
        if let Some(why) = self.job.reduced {
            let asked = self.missing;
            self.record(Step::Reduced { asked, why }, cx);
        }
    }

    fn rendition<R: Rng>(&mut self, attempt: AttemptId, index: u8, cx: &mut Context<'_, R>) {
        let flight = self.flights.iter_mut().find(|f| f.attempt == attempt);
        let Some(flight) = flight.filter(|f| f.outstanding().contains(index)) else {
            return;
        };
        if flight.got.is_empty() {
            cx.router.table_mut().begun(&flight.ticket, cx.now);
        }
        flight.got = flight.got.union(Renditions::only(index));
        flight.last = cx.now;
        self.admitted(attempt, cx);
        let counted = self.missing.contains(index);
        if counted {
            self.missing = self.missing.without(index);
            self.delivered = self.delivered.union(Renditions::only(index));
            cx.actions.push(Action::Deliver { attempt, index });
        }
        let step = Step::Rendition {
            attempt,
            index,
            counted,
        };
        self.record(step, cx);
        self.contradict(cx);
    }

    /// The node took this submission on.
    fn admitted<R>(&mut self, attempt: AttemptId, cx: &mut Context<'_, R>) {
        if let Some((_, share)) = self.share.take_if(|(of, _)| *of == attempt) {
            cx.router.purse().admitted(share);
        }
    }

    /// Whatever happened: does what is to be done now.
    fn advance<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        self.waits = None;
        let mut wake = None;
        if cx.now >= self.job.deadline {
            self.expire(cx);
        } else if !self.missing.is_empty() && !self.found_poison(cx) {
            let uncovered = self.uncovered();
            if !uncovered.is_empty() {
                wake = self.place(uncovered, cx);
            }
            wake = earlier(wake, self.rescue(cx));
        }
        self.drop_losers(cx);
        if self.missing.is_empty() && self.flights.is_empty() {
            return self.finish(cx);
        }
        // Never now: what could not be done in this step is not asked for again at once.
        let soon = cx.now + Duration::from_millis(1);
        self.wake = earlier(wake.map(|at| at.max(soon)), Some(self.job.deadline));
    }

    /// What no submission that is out will bring.
    fn uncovered(&self) -> Renditions {
        let covered = self.flights.iter().map(Flight::outstanding);
        covered.fold(self.missing, Renditions::minus)
    }

    /// Submissions that can still bring something that is missing.
    fn useful(&self) -> impl Iterator<Item = &Flight> {
        let missing = self.missing;
        let useful = move |f: &&Flight| !f.outstanding().intersection(missing).is_empty();
        self.flights.iter().filter(useful)
    }

    /// How many submissions nodes took on, or may have.
    fn submitted(&self) -> u32 {
        let out = u32::try_from(self.flights.len()).unwrap_or(u32::MAX);
        self.taken.saturating_add(out)
    }

    fn give_up<R>(&mut self, renditions: Renditions, reason: GiveUp, cx: &mut Context<'_, R>) {
        let renditions = renditions.intersection(self.missing);
        if renditions.is_empty() {
            return;
        }
        self.missing = self.missing.minus(renditions);
        self.end = Some(reason);
        cx.actions.push(Action::GiveUp { renditions, reason });
        self.record(Step::GaveUp { renditions, reason }, cx);
    }

    /// Keeps a step for `explain`, and has it logged if it is out of the ordinary.
    fn record<R>(&mut self, step: Step, cx: &mut Context<'_, R>) {
        if !step.is_ordinary() {
            cx.actions.push(Action::Note(step.clone()));
        }
        self.trail.push(step, cx.now);
    }

    /// Told once: overload could be the cause of what happens to this segment.
    fn trouble<R>(&mut self, cx: &mut Context<'_, R>) {
        if !self.troubled {
            self.troubled = true;
            cx.router.troubled();
        }
    }

    /// Everything is answered and nothing is out.
    fn finish<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        self.over = true;
        self.wake = None;
        let verdict = match self.end {
            _ if !self.delivered.is_empty() => Verdict::Good,
            Some(GiveUp::Poison) => Verdict::Poison,
            Some(GiveUp::Attempts | GiveUp::Deadline) if self.seen.len() > 1 => Verdict::Failed,
            Some(_) => Verdict::Unknown,
            // Nothing was asked for.
            None => return,
        };
        let begun = self.trail.begun();
        let turn = cx
            .router
            .ended(self.job.stream, verdict, begun, cx.now, cx.rng);
        if let Some(turn) = turn {
            self.record(turn.into(), cx);
        }
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
