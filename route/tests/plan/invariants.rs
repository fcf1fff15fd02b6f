//! Whatever happens, in whatever order: the rules of [`Ingest::tell`] hold, nothing leaks, and
//! what is spent stays within its bounds.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rackcast_route::plan::{AttemptId, End, Event, Step};
use rackcast_route::table::{FailureKind, Timing};
use rackcast_route::{Load, RouterConfig};

use crate::support::{Ingest, PATIENCE, Segment, member, ms};

#[derive(Debug, Clone, Copy)]
enum What {
    Begin,
    Event(Event),
    Members(u8),
}

fn end() -> impl Strategy<Value = End> {
    let load = Load {
        slots: 4,
        jobs: 3,
        draining: false,
    };
    let timing = Timing {
        queue: ms(10),
        work: ms(90),
    };
    let failed = |kind| End::Failed { kind };
    prop_oneof![
        3 => Just(End::Complete { timing: Some(timing), load: Some(load) }),
        2 => (0u64..2000).prop_map(move |after| End::Refused {
            code: "no-slot",
            retry_after: Some(ms(after)),
            load: Some(load),
        }),
        2 => Just(End::Claim { code: "undecodable" }),
        3 => prop::sample::select(vec![
            failed(FailureKind::Connect),
            failed(FailureKind::Broken),
            failed(FailureKind::TimedOut),
            failed(FailureKind::WrongMedia),
            failed(FailureKind::Protocol),
            failed(FailureKind::Internal),
        ]),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let attempt = (0u32..8).prop_map(AttemptId);
    prop_oneof![
        3 => Just(What::Begin),
        3 => Just(What::Event(Event::Wake)),
        1 => Just(What::Event(Event::Begin)),
        1 => Just(What::Event(Event::Freed)),
        1 => Just(What::Event(Event::Abandoned)),
        6 => (attempt.clone(), 0u8..4)
            .prop_map(|(attempt, index)| What::Event(Event::Rendition { attempt, index })),
        5 => (attempt, end()).prop_map(|(attempt, end)| What::Event(Event::Ended { attempt, end })),
        1 => (0u8..16).prop_map(What::Members),
    ]
}

/// Submissions whose body a node took on: when, and whether that segment's first.
struct Taken {
    all: Vec<(Instant, bool)>,
}

impl Taken {
    fn of(segments: &[Segment], refused: &[Vec<AttemptId>]) -> Self {
        let mut all = Vec::new();
        for (segment, refused) in segments.iter().zip(refused) {
            let sends = segment
                .sends
                .iter()
                .filter(|s| !refused.contains(&s.attempt));
            all.extend(sends.enumerate().map(|(i, s)| (s.at, i == 0)));
        }
        all.sort();
        Self { all }
    }

    /// The first window of a second or more that has too many.
    fn excess(&self) -> Option<String> {
        let Self { all } = self;
        for (i, (from, _)) in all.iter().enumerate() {
            for (to, _) in &all[i..] {
                let length = (*to - *from).max(Duration::from_secs(1));
                let inside = || all.iter().filter(|(at, _)| at >= from && at <= to);
                let firsts = inside().filter(|(_, first)| *first).count() as f64;
                let bound = 1.1 * firsts + length.as_secs_f64();
                let count = inside().count();
                if count as f64 > bound + 1e-3 {
                    return Some(format!("{count} > {bound} in {length:?}"));
                }
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_order_of_events_is_survived(
        nodes in 0u8..16,
        precious in any::<bool>(),
        steps in prop::collection::vec((0u64..400, 0usize..6, what()), 1..160),
    ) {
        let members = |mask: u8| {
            let all = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")];
            (0u8..4).zip(all).filter(move |(i, _)| mask & (1 << i) != 0)
                .map(|(_, (name, zone))| member(name, zone, 2))
        };
        let mut i = Ingest::with(RouterConfig::default(), &[]);
        let now = i.now;
        i.router.table_mut().update_members(members(nodes), now);
        i.precious = precious;
        let mut segments: Vec<Segment> = Vec::new();
        let mut refused: Vec<Vec<AttemptId>> = Vec::new();
        for (pause, which, what) in steps {
            i.pass(ms(pause));
            match what {
                What::Begin => {
                    segments.push(i.begin());
                    refused.push(Vec::new());
                }
                What::Members(mask) => {
                    let now = i.now;
                    i.router.table_mut().update_members(members(mask), now);
                }
                What::Event(event) => {
                    let at = segments.len().saturating_sub(1 + which);
                    let Some(segment) = segments.get_mut(at) else { continue };
                    if let Event::Ended { attempt, end } = event
                        && segment.may_refuse(attempt, i.now)
                        && matches!(end, End::Refused { .. } | End::Failed { kind: FailureKind::Connect })
                    {
                        refused[at].push(attempt);
                    }
                    i.tell(segment, event);
                }
            }
        }
        // All come to their end by the deadline, whatever they wait for.
        for segment in &mut segments {
            i.wait_for_end(segment);
            prop_assert!(segment.plan.is_over());
            let most = i.router.config().attempts.max + u32::from(precious);
            prop_assert!(segment.sends.iter().all(|s| s.number <= most));
        }
        let now = i.now;
        prop_assert!(i.router.table().nodes(now).all(|n| n.in_flight == 0), "a ticket leaked");
        if !precious {
            prop_assert_eq!(Taken::of(&segments, &refused).excess(), None);
        }
    }
}

impl Segment {
    /// A refusal comes before the body is read: at once, and before any answer.
    fn may_refuse(&self, attempt: AttemptId, now: Instant) -> bool {
        let sent = self.sends.iter().find(|s| s.attempt == attempt);
        let got = self
            .plan
            .trail()
            .entries()
            .iter()
            .any(|e| matches!(e.step, Step::Rendition { attempt: of, .. } if of == attempt));
        self.out.contains_key(&attempt) && !got && sent.is_some_and(|s| now < s.refusable_until)
    }
}

impl Ingest {
    fn wait_for_end(&mut self, segment: &mut Segment) {
        let until = self.now + PATIENCE + ms(1);
        while let Some(wake) = segment.plan.wake().filter(|at| *at <= until) {
            self.now = wake.max(self.now);
            self.tell(segment, Event::Wake);
        }
    }
}
