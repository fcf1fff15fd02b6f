//! Whatever a node does wrong, another node answers.

use std::time::Instant;

use bytes::Bytes;
use rackcast_ingest::dispatch::Outcome;
use rackcast_route::plan::GiveUp;
use rackcast_route::table::{FailureKind, Standing};
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::reply::RefusalCode;
use tokio_util::sync::CancellationToken;

use super::fleet::{BOTH, Fleet, PLENTY, both, collect, unhedged};
use super::media;
use super::node::{Answer, Script, Step, answer, first_then, part, refuses, sends, summary};

/// Whatever a node does wrong, another node answers, and the failure is the first one's.
#[tokio::test]
async fn every_kind_of_failure_goes_to_another_node() {
    let swap = |job: &Job, media: Bytes| {
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
        // Shown if it fails.
        println!("case {i}: {kind}");
        let fleet = Fleet::new(vec![vec![bad], vec![]]).await;
        fleet.both_come().await;
        assert_eq!(fleet.asked(0), [(1, both())], "case {i}");
        assert_eq!(fleet.asked(1), [(2, both())], "case {i}");
        fleet.counts("attempts_total", kind, 1.0).await;
        fleet.counts("retries_total", kind, 1.0).await;
        assert_eq!(fleet.failures(0), 1, "case {i}");
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
        let mut outcomes = fleet.submit(PLENTY);
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
async fn attempts_are_bounded() {
    let mut config = unhedged();
    config.dispatch.attempts.max = 3;
    let bad = || vec![refuses(RefusalCode::Internal)];
    let fleet = Fleet::with(&config, vec![bad(), bad(), bad(), vec![]]).await;
    fleet.none_comes(PLENTY, GiveUp::Attempts).await;
    assert_eq!(fleet.asked(3), []);
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_ejected_and_costs_no_attempt() {
    let mut fleet = Fleet::new(vec![vec![], vec![]]).await;
    drop(fleet.nodes.remove(0));
    let dead = fleet.view(0, |n| n.member.endpoint.to_string());
    // Until the listener is really closed a connection may still be made.
    fleet
        .until("refusal", |_| std::net::TcpStream::connect(&dead).is_err())
        .await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())], "the living one");
    let standing = fleet.standing(0);
    assert!(
        matches!(standing, Standing::Ejected(FailureKind::Connect, _)),
        "{standing:?}"
    );
    fleet.counts("ejections_total", "connect", 1.0).await;
}

#[tokio::test]
async fn wrong_media_ejects_a_node_though_it_is_the_faster_one() {
    let wrong = || {
        answer(|job| {
            let first = Step::Send(part(&job.spec.renditions[0].name, &Bytes::new()));
            sends(vec![first, Step::Send(summary(None))])
        })
    };
    let fleet = Fleet::new(vec![(0..20).map(|_| wrong()).collect(), vec![]]).await;
    let limit = Instant::now() + PLENTY;
    while !matches!(
        fleet.standing(0),
        Standing::Ejected(FailureKind::WrongMedia, _)
    ) {
        assert!(Instant::now() < limit, "{:?}", fleet.standing(0));
        let outcomes = collect(fleet.submit(PLENTY)).await;
        assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
    }
    assert!(fleet.asked(0).len() <= 3, "{:?}", fleet.asked(0));
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
}
