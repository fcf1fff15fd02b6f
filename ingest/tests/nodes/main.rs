//! Dispatch and discovery against nodes that refuse, stall, lie and die.

#![allow(unreachable_pub, reason = "modules of a test binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod discovery;
mod media;
mod node;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use node::{
    Answer, Body, Node, Script, Step, chunk, first_then, part, refuses, sends, summary, well,
};
use prometheus::Registry;
use rackcast_ingest::dispatch::{Config, Dispatcher, Order, Outcome, Reason};
use rackcast_route::{Endpoint, FailureKind, Member, NoNodeReason, Standing, Table};
use rackcast_segment::wire::multipart::PartHead;
use rackcast_segment::wire::reply::RefusalCode;
use tokio_util::sync::CancellationToken;

/// Long enough for any machine.
const PLENTY: Duration = Duration::from_secs(20);
const BOTH: [&str; 2] = ["720p", "360p"];

/// Nodes that are tried in their order, because each claims to be faster than the next.
struct Fleet {
    nodes: Vec<Node>,
    dispatcher: Arc<Dispatcher>,
    table: Arc<Mutex<Table>>,
    registry: Registry,
}

fn member(i: usize, endpoint: Endpoint) -> Member {
    Member {
        id: format!("n{i}").into(),
        zone: "z".to_owned(),
        endpoint,
        slots: 4,
        pixel_rate: Some(1e12 / 10f64.powi(i32::try_from(i).unwrap())),
        weight: 1,
    }
}

impl Fleet {
    async fn new(answers: Vec<Vec<Answer>>) -> Self {
        Self::with(Config::default(), answers).await
    }

    async fn with(config: Config, answers: Vec<Vec<Answer>>) -> Self {
        let mut nodes = Vec::new();
        for answers in answers {
            nodes.push(Node::start(answers).await);
        }
        let table = Arc::new(Mutex::new(Table::new(rackcast_route::Config::default())));
        let endpoints = nodes
            .iter()
            .map(|n| Endpoint::new("127.0.0.1", n.addr.port()));
        let members = endpoints.enumerate().map(|(i, e)| member(i, e));
        table
            .lock()
            .unwrap()
            .update_members(members, Instant::now());
        let registry = Registry::new();
        let dispatcher = Dispatcher::new(config, Arc::clone(&table), &registry).unwrap();
        Self {
            nodes,
            dispatcher: Arc::new(dispatcher),
            table,
            registry,
        }
    }

    async fn run(&self, order: Order) -> BTreeMap<String, Result<Bytes, Reason>> {
        let mut outcomes = self.dispatcher.submit(order);
        let mut all = BTreeMap::new();
        while let Some(outcome) = outcomes.recv().await {
            let (rendition, result) = match outcome {
                Outcome::Ready { rendition, media } => (rendition, Ok(media)),
                Outcome::Missing { rendition, reason } => (rendition, Err(reason)),
            };
            assert!(
                all.insert(rendition.to_string(), result).is_none(),
                "answered twice"
            );
        }
        all
    }

    /// Both renditions come, and are right.
    async fn both_come(&self) {
        let outcomes = self.run(media::order(&BOTH, 5000, PLENTY)).await;
        let media = media::rendition();
        assert_eq!(outcomes.len(), 2);
        for (name, outcome) in outcomes {
            assert_eq!(outcome, Ok(media.clone()), "{name}");
        }
    }

    async fn none_comes(&self, time: Duration, reason: Reason) {
        let outcomes = self.run(media::order(&BOTH, 5000, time)).await;
        let missing: Vec<_> = outcomes.into_values().collect();
        assert_eq!(missing, [Err(reason), Err(reason)]);
    }

    /// What each node was asked: attempt and renditions.
    fn asked(&self, node: usize) -> Vec<(u32, Vec<String>)> {
        let names = |job: &rackcast_segment::wire::job::Job| {
            job.spec
                .renditions
                .iter()
                .map(|r| r.name.to_string())
                .collect()
        };
        let seen = self.nodes[node].seen();
        seen.iter().map(|job| (job.attempt, names(job))).collect()
    }

    /// The value of a counter with this label.
    fn counter(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name().ends_with(name));
        let metrics = family.map(|f| f.get_metric()).unwrap_or_default();
        let has = |m: &&prometheus::proto::Metric| m.get_label().iter().any(|l| l.value() == label);
        metrics
            .iter()
            .find(has)
            .map_or(0.0, |m| m.get_counter().get_value())
    }

    fn standing(&self, node: usize) -> (Standing, u32) {
        let table = self.table.lock().unwrap();
        let id = format!("n{node}");
        let mut nodes = table.nodes(Instant::now());
        let view = nodes.find(|n| n.member.id.as_str() == id).unwrap();
        (view.standing, view.failures)
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + PLENTY;
        while !condition(self) {
            assert!(Instant::now() < limit, "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn both() -> Vec<String> {
    BOTH.map(str::to_owned).to_vec()
}

fn answer(f: impl Fn(&rackcast_segment::wire::job::Job) -> Script + Send + 'static) -> Answer {
    Box::new(f)
}

fn stall() -> Answer {
    answer(|_| sends(vec![Step::Hang]))
}

/// An attempt gets a twentieth of the time, one second.
fn impatient() -> Config {
    Config {
        attempt_share: 0.05,
        ..Config::default()
    }
}

#[tokio::test]
async fn a_good_node_answers_everything_at_once() {
    let fleet = Fleet::new(vec![vec![], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())]);
    assert_eq!(fleet.asked(1), []);
    let job = &fleet.nodes[0].seen()[0];
    assert_eq!((job.stream.as_str(), job.sequence.0), ("t0ken", 7));
    assert!(job.deadline <= PLENTY);
    assert_eq!(fleet.counter("attempts_total", "complete"), 1.0);
    assert_eq!(fleet.standing(0), (Standing::Good, 0));
}

#[tokio::test]
async fn a_rendition_is_handed_out_before_the_next_is_finished() {
    let fleet = Fleet::new(vec![vec![first_then(
        &CancellationToken::new(),
        vec![Step::Hang],
    )]])
    .await;
    let mut outcomes = fleet.dispatcher.submit(media::order(&BOTH, 5000, PLENTY));
    let first = outcomes.recv().await.unwrap();
    assert!(matches!(first, Outcome::Ready { rendition, .. } if rendition.as_str() == "720p"));
}

/// Whatever a node does wrong, another node answers, and the failure is the first one's.
#[tokio::test]
async fn every_kind_of_failure_goes_to_another_node() {
    let swap = |job: &rackcast_segment::wire::job::Job, media: Bytes| {
        let first = Step::Send(part(&job.spec.renditions[0].name, &media));
        sends(vec![first, Step::Send(summary(None))])
    };
    let corrupt = move |job: &_| {
        let mut media = media::rendition().to_vec();
        media[188 * 2 + 40] ^= 0xff;
        media.truncate(media.len() - 188);
        swap(job, media.into())
    };
    let cases: Vec<(&str, Answer)> = vec![
        ("internal", refuses(RefusalCode::Internal)),
        ("timed-out", refuses(RefusalCode::DeadlinePassed)),
        ("timed-out", refuses(RefusalCode::BodyTimeout)),
        ("broken", answer(|_| sends(vec![Step::Die]))),
        (
            "broken",
            answer(|_| sends(vec![Step::Send("x".into()), Step::Reset])),
        ),
        ("broken", answer(|_| sends(vec![]))),
        (
            "protocol",
            answer(|_| sends(vec![Step::Send("no multipart at all".repeat(999).into())])),
        ),
        (
            "protocol",
            answer(|_| sends(vec![Step::Send(summary(None))])),
        ),
        (
            "protocol",
            answer(|_| Script {
                content_type: "text/html".to_owned(),
                ..sends(vec![])
            }),
        ),
        (
            "protocol",
            answer(|_| Script {
                status: 302,
                ..sends(vec![])
            }),
        ),
        (
            "protocol",
            answer(|_| {
                let head = "\r\n--rackcast-8e1f9b2c4d7a\r\ncontent-type: video/mp2t\r\n\
                content-length: 99999999999\r\nrackcast-rendition: 720p\r\n\
                rackcast-chunk: 0\r\nrackcast-last: true\r\n\r\n";
                sends(vec![Step::Send(head.into()), Step::Hang])
            }),
        ),
        (
            "protocol",
            answer(|_| {
                let name = "1080p".parse().unwrap();
                sends(vec![
                    Step::Send(part(&name, &media::rendition())),
                    Step::Hang,
                ])
            }),
        ),
        ("wrong-media", answer(corrupt)),
        ("wrong-media", answer(move |job| swap(job, Bytes::new()))),
        (
            "internal",
            answer(|_| sends(vec![Step::Send(summary(Some(RefusalCode::Internal)))])),
        ),
    ];
    for (i, (kind, bad)) in cases.into_iter().enumerate() {
        let fleet = Fleet::new(vec![vec![bad], vec![]]).await;
        fleet.both_come().await;
        assert_eq!(fleet.asked(0), [(1, both())], "case {i}");
        assert_eq!(fleet.asked(1), [(2, both())], "case {i}");
        assert_eq!(fleet.counter("attempts_total", kind), 1.0, "case {i}");
        assert_eq!(fleet.counter("retries_total", kind), 1.0, "case {i}");
        assert_eq!(fleet.standing(0).1, 1, "case {i}");
    }
}

#[tokio::test]
async fn only_what_is_missing_is_asked_again() {
    let go = CancellationToken::new;
    let failures: Vec<(CancellationToken, Vec<Step>)> = vec![
        (go(), vec![Step::Reset]),
        (go(), vec![Step::Die]),
        (go(), vec![Step::Send(summary(Some(RefusalCode::Internal)))]),
        (
            go(),
            vec![Step::Send(summary(Some(RefusalCode::KilledWorker)))],
        ),
        (
            go(),
            vec![
                Step::Send(part(&BOTH[0].parse().unwrap(), &media::rendition())),
                Step::Hang,
            ],
        ),
    ];
    for (i, (go, steps)) in failures.into_iter().enumerate() {
        let fleet = Fleet::new(vec![vec![first_then(&go, steps)], vec![]]).await;
        let mut outcomes = fleet.dispatcher.submit(media::order(&BOTH, 5000, PLENTY));
        for name in BOTH {
            // The first comes before the node goes wrong, the second from the other node.
            let outcome = outcomes.recv().await.unwrap();
            let Outcome::Ready { rendition, .. } = outcome else {
                panic!("case {i}: {outcome:?}");
            };
            assert_eq!(rendition.as_str(), name, "case {i}");
            go.cancel();
        }
        assert_eq!(fleet.asked(1), [(2, vec!["360p".to_owned()])], "case {i}");
    }
}

#[tokio::test]
async fn a_rendition_in_chunks_is_put_together() {
    let chunks = answer(|job| {
        let media = media::rendition();
        let (a, b) = media.split_at(500);
        let mut steps = Vec::new();
        for spec in &job.spec.renditions {
            for (i, bytes) in [a, b].into_iter().enumerate() {
                let head = PartHead {
                    rendition: spec.name.clone(),
                    chunk: u32::try_from(i).unwrap(),
                    last: i == 1,
                };
                steps.push(Step::Send(chunk(&head, bytes)));
            }
        }
        steps.push(Step::Send(summary(None)));
        sends(steps)
    });
    let fleet = Fleet::new(vec![vec![chunks]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0).len(), 1);
}

#[tokio::test]
async fn push_back_in_the_middle_of_an_upload_is_no_attempt_and_no_failure() {
    for code in [RefusalCode::NoSlot, RefusalCode::Draining] {
        let fleet = Fleet::new(vec![vec![refuses(code)], vec![]]).await;
        // Far more than the window: the node never reads it.
        let outcomes = fleet.run(media::order(&BOTH, 8 << 20, PLENTY)).await;
        assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(fleet.asked(1), [(1, both())]);
        assert_eq!(fleet.counter("refusals_total", code.as_str()), 1.0);
        let (standing, failures) = fleet.standing(0);
        assert!(matches!(standing, Standing::Blocked(_)), "{standing:?}");
        assert_eq!(failures, 0);
    }
}

#[tokio::test]
async fn when_all_push_back_the_segment_waits_for_the_first_to_be_free() {
    let busy = || vec![refuses(RefusalCode::NoSlot)];
    let fleet = Fleet::new(vec![busy(), busy()]).await;
    fleet.both_come().await;
    assert_eq!(fleet.counter("attempts_total", "refused"), 2.0);
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_body() {
    let slow = answer(|job| Script {
        body: Body::ReadSlowly,
        ..well(job)
    });
    let fleet = Fleet::new(vec![vec![slow]]).await;
    let outcomes = fleet.run(media::order(&BOTH, 2 << 20, PLENTY)).await;
    assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn two_nodes_that_agree_make_a_segment_poison() {
    for code in [
        RefusalCode::Undecodable,
        RefusalCode::KilledWorker,
        RefusalCode::Unsupported,
    ] {
        let claim = || vec![refuses(code)];
        let fleet = Fleet::new(vec![claim(), claim(), vec![]]).await;
        fleet.none_comes(PLENTY, Reason::Poison).await;
        assert_eq!(fleet.asked(2), [], "no third node sees it");
        assert_eq!((fleet.standing(0).1, fleet.standing(1).1), (0, 0));
    }
}

#[tokio::test]
async fn a_claim_that_is_contradicted_is_the_nodes_failure() {
    let fleet = Fleet::new(vec![vec![refuses(RefusalCode::Undecodable)], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.standing(0).1, 1);
    assert_eq!(fleet.counter("retries_total", "claim"), 1.0);
}

#[tokio::test]
async fn a_node_that_stalls_is_overtaken_and_its_request_cancelled() {
    let fleet = Fleet::with(impatient(), vec![vec![stall()], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(1), [(2, both())]);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    assert_eq!(fleet.standing(0).1, 1);
}

#[tokio::test]
async fn a_stalled_upload_is_cancelled_too() {
    let deaf = answer(|_| Script {
        body: Body::Ignore,
        ..sends(vec![Step::Hang])
    });
    let fleet = Fleet::with(impatient(), vec![vec![deaf], vec![]]).await;
    let outcomes = fleet.run(media::order(&BOTH, 8 << 20, PLENTY)).await;
    assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
}

#[tokio::test]
async fn with_nobody_to_take_over_the_node_keeps_the_segment() {
    let late = answer(|job| {
        let mut script = well(job);
        script
            .steps
            .insert(0, Step::Wait(Duration::from_millis(1500)));
        script
    });
    let fleet = Fleet::with(impatient(), vec![vec![late]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())]);
}

#[tokio::test]
async fn at_the_deadline_what_is_outstanding_is_missing_and_cancelled() {
    let fleet = Fleet::new(vec![vec![first_then(
        &CancellationToken::new(),
        vec![Step::Hang],
    )]])
    .await;
    let (began, time) = (Instant::now(), Duration::from_secs(2));
    let outcomes = fleet.run(media::order(&BOTH, 5000, time)).await;
    assert_eq!(outcomes["720p"], Ok(media::rendition()));
    assert_eq!(outcomes["360p"], Err(Reason::Deadline));
    assert!(began.elapsed() >= time);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    let families = fleet.registry.gather();
    let misses = families
        .iter()
        .find(|f| f.name().ends_with("deadline_misses_total"));
    assert_eq!(
        misses.unwrap().get_metric()[0].get_counter().get_value(),
        1.0
    );
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_worthless() {
    let late = answer(|job| {
        let mut script = well(job);
        script.steps.insert(0, Step::Wait(Duration::from_secs(3)));
        script
    });
    let fleet = Fleet::new(vec![vec![late]]).await;
    fleet
        .none_comes(Duration::from_millis(300), Reason::Deadline)
        .await;
    fleet.none_comes(Duration::ZERO, Reason::Deadline).await;
}

#[tokio::test]
async fn attempts_are_bounded() {
    let bad = || vec![refuses(RefusalCode::Internal)];
    let fleet = Fleet::new(vec![bad(), bad(), bad(), vec![]]).await;
    fleet.none_comes(PLENTY, Reason::Attempts).await;
    assert_eq!(fleet.asked(3), []);
}

#[tokio::test]
async fn retries_are_paid_from_the_budget() {
    let mut config = Config::default();
    config.retries.burst = 0.5;
    let bad = vec![refuses(RefusalCode::Internal)];
    let fleet = Fleet::with(config, vec![bad, vec![]]).await;
    fleet.none_comes(PLENTY, Reason::Budget).await;
    assert_eq!(fleet.asked(1), []);
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_ejected_and_costs_no_attempt() {
    let mut fleet = Fleet::new(vec![vec![], vec![]]).await;
    let dead = Endpoint::new("127.0.0.1", fleet.nodes[0].addr.port());
    let alive = Endpoint::new("127.0.0.1", fleet.nodes[1].addr.port());
    drop(fleet.nodes.remove(0));
    let members = [member(0, dead), member(1, alive)];
    fleet
        .table
        .lock()
        .unwrap()
        .update_members(members, Instant::now());
    // Until the listener is really closed a connection may still be made.
    fleet
        .until("refusal", |f| {
            std::net::TcpStream::connect(("127.0.0.1", port(f))).is_err()
        })
        .await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())]);
    assert!(matches!(fleet.standing(0).0, Standing::Ejected(_)));

    drop(fleet.nodes.remove(0));
    fleet
        .until("nothing", |f| f.standing(1).0 == Standing::Good)
        .await;
    let outcomes = fleet.run(media::order(&BOTH, 5000, PLENTY)).await;
    for outcome in outcomes.into_values() {
        assert_eq!(outcome, Err(Reason::NoNode(NoNodeReason::AllTried)));
    }
}

fn port(fleet: &Fleet) -> u16 {
    let table = fleet.table.lock().unwrap();
    let view = table.nodes(Instant::now()).next().unwrap();
    let (_, port) = view.member.endpoint.as_str().rsplit_once(':').unwrap();
    port.parse().unwrap()
}

#[tokio::test]
async fn a_polite_goodbye_costs_nothing() {
    let fleet = Fleet::new(vec![vec![]]).await;
    for _ in 0..5 {
        fleet.both_come().await;
        fleet.nodes[0].go_away();
    }
    assert_eq!(fleet.counter("attempts_total", "complete"), 5.0);
    assert_eq!(fleet.asked(0).len(), 5);
}

#[tokio::test]
async fn a_node_that_leaves_the_catalog_finishes_what_it_has() {
    let fleet = Fleet::new(vec![vec![answer(|job| {
        let mut script = well(job);
        script
            .steps
            .insert(1, Step::Wait(Duration::from_millis(500)));
        script
    })]])
    .await;
    let mut outcomes = fleet.dispatcher.submit(media::order(&BOTH, 5000, PLENTY));
    assert!(matches!(outcomes.recv().await, Some(Outcome::Ready { .. })));
    fleet
        .table
        .lock()
        .unwrap()
        .update_members([], Instant::now());
    fleet.dispatcher.pool().retain(|_| false);
    assert!(matches!(outcomes.recv().await, Some(Outcome::Ready { .. })));
    assert_eq!(outcomes.recv().await, None);
}

#[tokio::test]
async fn nobody_waits_so_the_node_is_let_go() {
    let fleet = Fleet::new(vec![vec![stall()]]).await;
    let outcomes = fleet.dispatcher.submit(media::order(&BOTH, 5000, PLENTY));
    fleet.until("the request", |f| f.asked(0).len() == 1).await;
    drop(outcomes);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    assert_eq!(fleet.standing(0).1, 0);
}

#[tokio::test]
async fn segments_in_flight_are_bounded() {
    let config = Config {
        max_segments_in_flight: 1,
        ..Config::default()
    };
    let fleet = Fleet::with(config, vec![vec![stall()]]).await;
    let _first = fleet.dispatcher.submit(media::order(&BOTH, 5000, PLENTY));
    fleet.none_comes(PLENTY, Reason::TooManyInFlight).await;
}

/// Two nodes that fail in any of these ways and one that is well: nothing is lost.
#[tokio::test]
async fn a_segment_is_lost_only_if_every_path_is_dead() {
    let ways: Vec<fn() -> Answer> = vec![
        || refuses(RefusalCode::Internal),
        || refuses(RefusalCode::NoSlot),
        || refuses(RefusalCode::Draining),
        || answer(|_| sends(vec![Step::Die])),
        || answer(|_| sends(vec![Step::Send("x".into()), Step::Reset])),
        || answer(|_| sends(vec![Step::Send("rubbish".into())])),
    ];
    for a in &ways {
        for b in &ways {
            let fleet = Fleet::new(vec![vec![a()], vec![b()], vec![]]).await;
            fleet.both_come().await;
        }
    }
    let claim = refuses(RefusalCode::Undecodable);
    let fleet = Fleet::new(vec![
        vec![claim],
        vec![refuses(RefusalCode::Internal)],
        vec![],
    ])
    .await;
    fleet.both_come().await;
    assert_eq!(
        fleet.counter("attempts_total", FailureKind::Internal.as_str()),
        1.0
    );
}
