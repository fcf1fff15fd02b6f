//! What holds whatever happens, in any order.

use proptest::prelude::*;
use rackcast_route::table::{Left, PickReason, Purpose, Standing};

use super::*;

const NODES: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Members(u8),
    Place {
        work: u64,
        tried: u8,
        purpose: u8,
        left: u64,
    },
    Finish {
        which: usize,
        how: u8,
    },
    Probed {
        node: usize,
        slots: u32,
        jobs: u32,
        draining: bool,
    },
    Blame {
        node: usize,
        kind: usize,
    },
    Word {
        node: usize,
        agrees: bool,
    },
    Probe,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..20_000).prop_map(Step::Pass),
        4 => (0u64..200).prop_map(Step::Pass),
        1 => (0u8..64).prop_map(Step::Members),
        9 => (prop_oneof![0u64..30_000_000, any::<u64>()], 0u8..64, 0u8..5, 0u64..5000)
            .prop_map(|(work, tried, purpose, left)| Step::Place { work, tried, purpose, left }),
        8 => (any::<usize>(), 0u8..16).prop_map(|(which, how)| Step::Finish { which, how }),
        2 => (0..NODES, any::<u32>(), any::<u32>(), any::<bool>())
            .prop_map(|(node, slots, jobs, draining)| Step::Probed { node, slots, jobs, draining }),
        2 => (0..NODES, 0..KINDS.len()).prop_map(|(node, kind)| Step::Blame { node, kind }),
        1 => (0..NODES, any::<bool>()).prop_map(|(node, agrees)| Step::Word { node, agrees }),
        1 => Just(Step::Probe),
    ];
    prop::collection::vec(step, 1..200)
}

const KINDS: [FailureKind; 6] = [
    FailureKind::Connect,
    FailureKind::Broken,
    FailureKind::TimedOut,
    FailureKind::WrongMedia,
    FailureKind::Internal,
    FailureKind::FalseClaim,
];

fn members(mask: u8) -> impl Iterator<Item = Member> {
    (0..NODES)
        .filter(move |i| mask & (1 << i) != 0)
        .map(|i| Member {
            pixel_rate: (i == 1).then_some(f64::MAX),
            weight: if i == 2 { u32::MAX } else { 0 },
            ..member(
                &format!("n{i}"),
                &format!("z{}", i % 2),
                u32::try_from(i).unwrap(),
            )
        })
}

fn outcome(how: u8) -> Outcome {
    let load = Some(load(u32::from(how), u32::MAX));
    match how {
        0..6 => Outcome::Failed(KINDS[usize::from(how)]),
        6 => Outcome::Cancelled,
        7 => Outcome::Claimed,
        8 | 9 => Outcome::Refused {
            retry_after: (how == 8).then_some(Duration::MAX),
            load,
        },
        _ => Outcome::Done {
            elapsed: Duration::from_millis(1 << (3 * (how - 10))),
            timing: how.is_multiple_of(2).then_some(Timing {
                queue: ms(5),
                work: if how == 12 { Duration::MAX } else { ms(50) },
            }),
            load: load.filter(|_| how > 13),
        },
    }
}

/// May have work now, apart from how many it already has.
fn is_good(standing: Standing) -> bool {
    matches!(
        standing,
        Standing::Good | Standing::Unmeasured | Standing::Returning(_)
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_table_keeps_its_promises(steps in steps(), seed: u64) {
        let mut w = World::with(Config::default(), members(63));
        w.rng = SmallRng::seed_from_u64(seed);
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut home = None;
        for step in steps {
            let at = |w: &World, i: usize| w.table.find(&format!("n{i}").as_str().into());
            match step {
                Step::Pass(time) => w.pass(ms(time)),
                Step::Members(mask) => w.table.update_members(members(mask), w.now),
                Step::Place { work, tried, purpose, left } => {
                    let tried: Vec<NodeRef> = (0..NODES)
                        .filter(|i| tried & (1 << i) != 0)
                        .filter_map(|i| at(&w, i))
                        .collect();
                    let other = tried.first().copied();
                    let purpose = match (purpose, other) {
                        (1, _) => Purpose::Retry,
                        (2, _) => Purpose::Hedge,
                        (3, Some(not_zone_of)) => Purpose::Copy { not_zone_of },
                        (4, Some(not_zone_of)) => Purpose::SecondOpinion { not_zone_of },
                        _ => Purpose::First,
                    };
                    let ask = Ask { work, time_left: ms(left), home, tried: &tried, purpose, trials: true, patient: true };
                    let Ok(choice) = w.table.pick(&ask, w.now, &mut w.rng) else {
                        continue;
                    };
                    prop_assert!(!tried.contains(&choice.node), "a tried node");
                    let standings: Vec<_> = w.table.nodes(w.now)
                        .map(|v| (v.node, v.standing, v.in_flight, v.others, v.slots))
                        .collect();
                    let its = standings.iter().find(|s| s.0 == choice.node);
                    let its = its.expect("a member").1;
                    prop_assert!(!matches!(its, Standing::Blocked(_) | Standing::Draining));
                    if let Standing::Ejected(kind, _) = its {
                        prop_assert!(!kind.is_hard(), "{kind}");
                    }
                    // Who just fled stays where it is for what may be chance.
                    let stays = its == Standing::Overdue && choice.reason == PickReason::Kept;
                    let may = stays || matches!(its, Standing::Trial | Standing::ZoneLeft);
                    if !is_good(its) && !may {
                        for s in standings.iter().filter(|s| !tried.contains(&s.0)) {
                            let room = s.2.saturating_add(s.3) < 2 * s.4 && s.2 < 256;
                            prop_assert!(!is_good(s.1) || !room, "{its:?}, not {s:?}");
                        }
                    }
                    if matches!(its, Standing::Trial) && choice.reason == PickReason::Trial {
                        prop_assert_eq!(purpose, Purpose::First);
                    }
                    if choice.reason == PickReason::Kept {
                        prop_assert_eq!(home.map(|h| h.node()), Some(choice.node));
                    }
                    if choice.reason == PickReason::Left(Left::Gone) {
                        let old = home.expect("there was one").node();
                        prop_assert!(w.table.member(old).is_none());
                    }
                    if purpose == Purpose::First {
                        home = Some(choice.home);
                    } else if let Some(home) = home {
                        prop_assert_eq!(choice.home, home);
                    }
                    for other in choice.alternatives.iter().flatten() {
                        prop_assert!(other.node != choice.node && !tried.contains(&other.node));
                    }
                    tickets.push(w.table.start(choice.node, work, 1 + tickets.len() % 3, choice.predicted, w.now));
                }
                Step::Finish { which, how } => {
                    if !tickets.is_empty() {
                        let ticket = tickets.swap_remove(which % tickets.len());
                        let _ = w.finish(ticket, outcome(how));
                    }
                }
                Step::Probed { node, slots, jobs, draining } => {
                    if let Some(node) = at(&w, node) {
                        let load = Load { slots, jobs, draining };
                        w.table.probed(node, ms(1), load, w.now);
                    }
                }
                Step::Blame { node, kind } => {
                    if let Some(node) = at(&w, node) {
                        let _ = w.table.blame(node, KINDS[kind], w.now, &mut w.rng);
                    }
                }
                Step::Word { node, agrees } => {
                    if let Some(node) = at(&w, node) {
                        if agrees {
                            w.table.confirmed(node, w.now);
                        } else {
                            let _ = w.table.contradicted(node, w.now, &mut w.rng);
                        }
                    }
                }
                Step::Probe => {
                    let now = w.now;
                    let asked: Vec<NodeRef> = w.table.to_probe(now).map(|(n, _)| n).collect();
                    prop_assert_eq!(w.table.to_probe(now).count(), 0, "twice at once");
                    prop_assert!(asked.len() <= NODES);
                }
            }
            let in_flight: u32 = w.table.nodes(w.now).map(|v| v.in_flight).sum();
            prop_assert!(usize::try_from(in_flight).unwrap() <= tickets.len());
            for v in w.table.nodes(w.now) {
                prop_assert!(v.seconds_per_megapixel.is_finite() && v.seconds_per_megapixel >= 0.0);
            }
        }
        w.table.update_members(members(63), w.now);
        for ticket in tickets {
            let _ = w.finish(ticket, Outcome::Cancelled);
        }
        prop_assert_eq!(w.table.nodes(w.now).map(|v| v.in_flight).sum::<u32>(), 0, "a leak");
        // Nothing is for ever: after the longest of all verdicts every node has work again.
        w.pass(Duration::from_secs(40));
        for v in w.table.nodes(w.now) {
            let over = is_good(v.standing)
                || matches!(v.standing, Standing::Trial | Standing::ZoneLeft);
            prop_assert!(over, "{:?}", v.standing);
        }
        prop_assert!(w.ask(Purpose::First, None, &[]).is_ok());
    }

    #[test]
    fn members_in_any_order_make_the_same_table(
        order in Just((0..40u32).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0usize..40,
    ) {
        let named = |i: &u32| member(&format!("n{i}"), &format!("z{}", i % 3), 1 + i % 5);
        let subset = |w: &World| {
            let nodes = w.table.nodes(w.now).filter(|v| v.in_subset);
            nodes.map(|v| v.member.id.to_string()).collect::<Vec<_>>()
        };
        let plain = World::with(Config::default(), (0..40).map(|i| named(&i)));
        let mut w = World::with(Config::default(), order.iter().take(cut).map(named));
        w.table.update_members(order.iter().map(named), w.now);
        prop_assert_eq!(subset(&w), subset(&plain));
        prop_assert_eq!(w.table.len(), 40);
    }
}
