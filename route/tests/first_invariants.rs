//! What holds whatever happens, in any order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rackcast_route::{
    Config, Endpoint, FailureKind, Job, Load, Member, NodeId, Outcome, Reason, Standing, Table,
    Ticket,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

const NODES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Members(u8),
    Place {
        work: u64,
        tried: u8,
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
    Blame(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..20_000).prop_map(Step::Pass),
        1 => (0u8..16).prop_map(Step::Members),
        8 => (any::<u64>(), 0u8..16).prop_map(|(work, tried)| Step::Place { work, tried }),
        8 => (any::<usize>(), 0u8..12).prop_map(|(which, how)| Step::Finish { which, how }),
        2 => (0usize..4, any::<u32>(), any::<u32>(), any::<bool>())
            .prop_map(|(node, slots, jobs, draining)| Step::Probed { node, slots, jobs, draining }),
        1 => (0usize..4).prop_map(Step::Blame),
    ];
    prop::collection::vec(step, 1..200)
}

fn members(mask: u8) -> impl Iterator<Item = Member> {
    let named = (0..4).filter(move |i| mask & (1 << i) != 0);
    named.map(|i| Member {
        id: NODES[i].into(),
        zone: String::new(),
        endpoint: Endpoint::new(NODES[i], 1),
        slots: u32::try_from(i).unwrap(),
        pixel_rate: (i == 1).then_some(f64::MAX),
        weight: if i == 2 { u32::MAX } else { 0 },
    })
}

fn outcome(how: u8) -> Outcome {
    let kinds = [
        FailureKind::Connect,
        FailureKind::Broken,
        FailureKind::TimedOut,
        FailureKind::WrongMedia,
    ];
    let load = Some(Load {
        slots: u32::from(how),
        jobs: u32::MAX,
        draining: false,
    });
    match how {
        0..4 => Outcome::Failed(kinds[usize::from(how)]),
        4 => Outcome::Cancelled,
        5 | 6 => Outcome::Refused {
            retry_after: (how == 6).then_some(Duration::MAX),
            load,
        },
        _ => Outcome::Done {
            elapsed: Duration::from_secs(1 << (4 * (how - 7))),
            load,
        },
    }
}

proptest! {
    #[test]
    fn the_table_keeps_its_promises(steps in steps(), seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut table = Table::new(Config::default());
        let mut now = Instant::now();
        let mut tickets: Vec<Ticket> = Vec::new();
        table.update_members(members(15), now);
        for step in steps {
            match step {
                Step::Pass(ms) => now += Duration::from_millis(ms),
                Step::Members(mask) => table.update_members(members(mask), now),
                Step::Place { work, tried } => {
                    let tried: Vec<NodeId> = (0..4)
                        .filter(|i| tried & (1 << i) != 0)
                        .map(|i| NODES[i].into())
                        .collect();
                    let job = Job { work, tried: &tried };
                    let Ok(choice) = table.pick(&job, now, &mut rng) else {
                        continue;
                    };
                    prop_assert!(!tried.contains(&choice.node), "a tried node");
                    let standing = |n: &NodeId| {
                        table.nodes(now).find(|v| v.member.id == *n).unwrap().standing
                    };
                    let at = standing(&choice.node);
                    prop_assert!(!matches!(at, Standing::Blocked(_) | Standing::Draining));
                    if matches!(at, Standing::Ejected(_)) {
                        prop_assert_eq!(choice.reason, Reason::LastResort);
                        // Nothing better was left: every other node is out of the question,
                        // ejected, full or on trial.
                        for v in table.nodes(now).filter(|v| !tried.contains(&v.member.id)) {
                            let better = matches!(v.standing, Standing::Good | Standing::Unmeasured);
                            prop_assert!(!better || v.in_flight >= 2, "{:?}", v);
                        }
                    }
                    tickets.push(table.start(&choice.node, work, now));
                }
                Step::Finish { which, how } => {
                    if !tickets.is_empty() {
                        let ticket = tickets.swap_remove(which % tickets.len());
                        let _ = table.finish(ticket, outcome(how), now, &mut rng);
                    }
                }
                Step::Probed { node, slots, jobs, draining } => {
                    let load = Load { slots, jobs, draining };
                    table.probed(&NODES[node].into(), Duration::from_millis(1), load, now);
                }
                Step::Blame(node) => {
                    let kind = FailureKind::FalseClaim;
                    let _ = table.blame(&NODES[node].into(), kind, now, &mut rng);
                }
            }
            let in_flight: u32 = table.nodes(now).map(|v| v.in_flight).sum();
            prop_assert!(usize::try_from(in_flight).unwrap() <= tickets.len());
            for v in table.nodes(now) {
                prop_assert!(v.seconds_per_megapixel.is_finite() && v.seconds_per_megapixel >= 0.0);
            }
        }
        table.update_members(members(15), now);
        for ticket in tickets {
            let _ = table.finish(ticket, Outcome::Cancelled, now, &mut rng);
        }
        prop_assert!(table.nodes(now).all(|v| v.in_flight == 0), "every ticket came home");
    }
}
