//! What all baselines have in common, so that they differ in nothing but whom they pick: one
//! attempt after another, each with a part of the time that is left, another node each time.

use std::time::Duration;

use super::{Action, Asked, Bound, Context, End, Event, Failure, Policy, Segment};
use crate::time::Time;

/// Whom a baseline picks, and what it learns.
pub(crate) trait Picker {
    fn rules(&self) -> Rules {
        Rules::default()
    }

    fn members(&mut self, nodes: &[u32], cx: &Context<'_>);

    /// A member for the segment that is not among those tried; `None` if there is none.
    fn pick(&mut self, segment: &Segment, tried: &[u32], cx: &Context<'_>) -> Option<u32>;

    fn sent(&mut self, _node: u32) {}

    fn ended(&mut self, _segment: &Segment, _node: u32, _how: Ended, _now: Time) {}

    /// What was sent there is lost, or better sent again, and the picker knows.
    fn is_lost(&self, _segment: &Segment, _node: u32, _cx: &Context<'_>) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ended {
    Done(Duration),
    Failed(Duration),
    Refused,
    Cancelled,
}

/// How a baseline tries again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) attempts: u32,
    /// Share of the time left that an attempt gets before another node is tried.
    pub(crate) share: f64,
    /// Keeps 1.1 N + T.
    pub(crate) bounded: bool,
    /// A refusal is an attempt like any other.
    pub(crate) refusals_count: bool,
    /// So many claims that it cannot be transcoded end a segment.
    pub(crate) claims: u32,
    /// Looks this often whether what was sent is lost.
    pub(crate) watch: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            attempts: 3,
            share: 0.6,
            bounded: true,
            refusals_count: false,
            claims: u32::MAX,
            watch: None,
        }
    }
}

/// While nobody can be asked, or the bound allows nothing: as often as ours does.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Refusals are cheap: half a one for each segment, and so many more.
const REFUSALS: (f64, f64) = (0.5, 20.0);

#[derive(Debug)]
pub(crate) struct Attempts<P> {
    picker: P,
    rules: Rules,
    bound: Bound,
    /// How many refusals may still be borne.
    refusals: f64,
}

#[derive(Debug)]
pub(crate) struct Plan {
    segment: Segment,
    missing: u16,
    flight: Option<Flight>,
    tried: Vec<u32>,
    attempts: u32,
    claims: u32,
    numbers: u32,
    wake: Time,
    over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    number: u32,
    node: u32,
    sent: Time,
    first: bool,
}

impl<P: Picker> Attempts<P> {
    pub(crate) fn new(picker: P) -> Self {
        Self {
            rules: picker.rules(),
            picker,
            bound: Bound::default(),
            refusals: REFUSALS.1,
        }
    }

    /// Sends the segment to whom the picker names, or waits, or gives up.
    fn attempt(&mut self, plan: &mut Plan, cx: &mut Context<'_>) {
        let first = plan.attempts == 0;
        if plan.attempts >= self.rules.attempts {
            self.give_up(plan);
            return;
        }
        let mut choice = self.picker.pick(&plan.segment, &plan.tried, cx);
        if choice.is_none() && !plan.tried.is_empty() {
            plan.tried.clear();
            choice = self.picker.pick(&plan.segment, &plan.tried, cx);
        }
        let Some(node) = choice else {
            plan.wake = cx.now + LOOK_AGAIN;
            return;
        };
        if self.rules.bounded {
            if !first && !self.bound.allows(cx.now) {
                plan.wake = cx.now + LOOK_AGAIN;
                return;
            }
            self.bound.submitted(cx.now, first);
        }
        plan.attempts += 1;
        plan.numbers += 1;
        self.picker.sent(node);
        plan.flight = Some(Flight {
            number: plan.numbers,
            node,
            sent: cx.now,
            first,
        });
        plan.wake = match self.rules.watch {
            Some(often) => cx.now + often,
            None => cx
                .now
                .toward(plan.segment.deadline.since(cx.now), self.rules.share),
        };
        cx.actions.push(Action::Send {
            attempt: plan.numbers,
            node,
            renditions: plan.missing,
        });
    }

    fn give_up(&mut self, plan: &mut Plan) {
        plan.over = true;
        plan.wake = Time::NEVER;
    }

    fn wake_up(&mut self, plan: &mut Plan, cx: &mut Context<'_>) {
        if cx.now < plan.wake.min(plan.segment.deadline) {
            return;
        }
        let late = cx.now >= plan.segment.deadline;
        let Some(flight) = plan.flight else {
            match late {
                true => self.give_up(plan),
                false => self.attempt(plan, cx),
            }
            return;
        };
        let another = match self.rules.watch {
            Some(often) => {
                plan.wake = cx.now + often;
                let lost = self.picker.is_lost(&plan.segment, flight.node, cx);
                lost && (!self.rules.bounded || self.bound.allows(cx.now))
            }
            None => {
                let spare = plan.attempts < self.rules.attempts;
                let allowed = !self.rules.bounded || self.bound.allows(cx.now);
                plan.wake = match spare && !allowed {
                    true => cx.now + LOOK_AGAIN,
                    false => plan.segment.deadline,
                };
                spare && allowed
            }
        };
        if !late && !another {
            return;
        }
        plan.flight = None;
        plan.tried.push(flight.node);
        let took = cx.now.since(flight.sent);
        self.picker
            .ended(&plan.segment, flight.node, Ended::Failed(took), cx.now);
        cx.actions.push(Action::Cancel {
            attempt: flight.number,
        });
        cx.actions.push(Action::NodeFreed);
        match late {
            true => self.give_up(plan),
            false => self.attempt(plan, cx),
        }
    }

    fn ended(&mut self, plan: &mut Plan, end: End, cx: &mut Context<'_>) {
        let Some(flight) = plan.flight.take() else {
            return;
        };
        let took = cx.now.since(flight.sent);
        let how = match end {
            End::Complete { .. } => Ended::Done(took),
            End::Refused { .. } => Ended::Refused,
            End::Claim => Ended::Cancelled,
            End::Failed(_) => Ended::Failed(took),
        };
        self.picker.ended(&plan.segment, flight.node, how, cx.now);
        cx.actions.push(Action::NodeFreed);
        plan.tried.push(flight.node);
        let taken = !matches!(end, End::Refused { .. } | End::Failed(Failure::Connect));
        if !taken && !self.rules.refusals_count {
            plan.attempts -= 1;
            self.bound.withdrawn(flight.sent, flight.first);
            self.refusals -= 1.0;
            if self.refusals < 0.0 {
                plan.wake = cx.now + LOOK_AGAIN;
                return;
            }
        }
        plan.claims += u32::from(matches!(end, End::Claim));
        match plan.missing == 0 || plan.claims >= self.rules.claims {
            true => self.give_up(plan),
            false => self.attempt(plan, cx),
        }
    }
}

impl<P: Picker> Policy for Attempts<P> {
    type Plan = Plan;

    fn members(&mut self, nodes: &[u32], cx: &mut Context<'_>) {
        self.picker.members(nodes, cx);
    }

    fn plan(&mut self, segment: Segment, _cx: &mut Context<'_>) -> (Plan, Asked) {
        let all = u16::MAX >> 16usize.saturating_sub(segment.works.len());
        self.refusals = (self.refusals + REFUSALS.0).min(REFUSALS.1);
        let plan = Plan {
            segment,
            missing: all,
            flight: None,
            tried: Vec::new(),
            attempts: 0,
            claims: 0,
            numbers: 0,
            wake: Time::NEVER,
            over: false,
        };
        let asked = Asked {
            renditions: all,
            withheld: false,
        };
        (plan, asked)
    }

    fn step(&mut self, plan: &mut Plan, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Begin => self.attempt(plan, cx),
            Event::Wake => self.wake_up(plan, cx),
            Event::Freed if plan.flight.is_none() && !plan.over && self.refusals >= 0.0 => {
                self.attempt(plan, cx);
            }
            Event::Freed => {}
            Event::Rendition { index, .. } => {
                plan.missing &= !(1 << index);
                cx.actions.push(Action::Deliver { index });
            }
            Event::Ended { end, .. } => self.ended(plan, end, cx),
        }
    }

    fn wake(&self, plan: &Plan) -> Option<Time> {
        (!plan.over).then(|| plan.wake.min(plan.segment.deadline))
    }

    fn is_over(&self, plan: &Plan) -> bool {
        plan.over
    }
}
