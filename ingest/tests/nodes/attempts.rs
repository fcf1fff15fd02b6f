//! One segment and one node: what is sent, what comes back, and when it is given up.

use std::time::{Duration, Instant};

use rackcast_ingest::dispatch::{Outcome, TrialError};
use rackcast_route::Endpoint;
use rackcast_route::plan::GiveUp;
use rackcast_route::table::Standing;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::rate::{Account, EncoderName, Policy};
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::multipart::PartHead;
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use super::fleet::{BOTH, Fleet, PLENTY, both, impatient, unhedged};
use super::media;
use super::node::{
    Body, Script, Step, answer, chunk, first_then, late, sends, stall, summary, well,
};

#[tokio::test]
async fn a_good_node_answers_everything_at_once() {
    let fleet = Fleet::new(vec![vec![], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())]);
    assert_eq!(fleet.asked(1), []);
    let job = &fleet.nodes[0].seen()[0];
    assert_eq!((job.stream.as_str(), job.sequence.0), ("t0ken", 7));
    assert!(job.deadline <= PLENTY);
    fleet.counts("attempts_total", "complete", 1.0).await;
    // New, so it gets a part of its share at first.
    let good = |s| matches!(s, Standing::Returning(_) | Standing::Good);
    fleet.until("its standing", |f| good(f.standing(0))).await;
    assert_eq!(fleet.failures(0), 0);
}

/// What accounts go by is counted here; of the node counts only what it calls its encoder, if that is a
/// name at all.
#[tokio::test]
async fn rates_go_with_the_job_and_what_was_made_comes_back() {
    let fleet = Fleet::new(vec![vec![]]).await;
    for (said, encoder) in [
        (None, None),
        (Some("x264/veryfast"), Some("x264/veryfast")),
        (Some("no name at all"), None),
    ] {
        said.inspect(|name| fleet.nodes[0].names_encoder(name));
        let mut order = media::order(&BOTH, 5000, PLENTY);
        let (frames, duration) = (order.spec.source.frame_rate, order.spec.source.duration);
        for spec in &order.spec.renditions {
            let mut account = Account::new(Policy::default(), spec, frames);
            let (rate, _) = account.ask(order.sequence, duration);
            order.spec.rates.insert(spec.name.clone(), rate);
        }
        let rates = order.spec.rates.clone();
        let mut outcomes = fleet.lane.submit(order);
        while let Some(outcome) = outcomes.recv().await {
            let Outcome::Ready { made, .. } = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(made.bits, media::VIDEO_BITS);
            assert_eq!(made.encoder.as_ref().map(EncoderName::as_str), encoder);
        }
        assert_eq!(fleet.nodes[0].seen().pop().unwrap().spec.rates, rates);
    }
}

#[tokio::test]
async fn a_rendition_is_handed_out_before_the_next_is_finished() {
    let fleet = Fleet::new(vec![vec![first_then(
        &CancellationToken::new(),
        vec![Step::Hang],
    )]])
    .await;
    let mut outcomes = fleet.submit(PLENTY);
    let first = outcomes.recv().await.unwrap();
    assert!(matches!(first, Outcome::Ready { rendition, .. } if rendition.as_str() == "720p"));
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
async fn a_node_that_stalls_is_overtaken_and_its_request_cancelled() {
    let fleet = Fleet::with(&impatient(), vec![vec![stall()], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(1), [(2, both())]);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    fleet.counts("attempts_total", "cancelled", 1.0).await;
    assert_eq!(fleet.in_flight(0), 0, "its slot is free");
}

#[tokio::test]
async fn a_stalled_upload_is_cancelled_too() {
    let deaf = answer(|_| Script {
        body: Body::Ignore,
        ..sends(vec![Step::Hang])
    });
    let fleet = Fleet::with(&impatient(), vec![vec![deaf], vec![]]).await;
    let outcomes = fleet.run(media::order(&BOTH, 8 << 20, PLENTY)).await;
    assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
}

#[tokio::test]
async fn with_nobody_to_take_over_the_node_keeps_the_segment() {
    let late = late(Duration::from_millis(1500));
    let fleet = Fleet::with(&impatient(), vec![vec![late]]).await;
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
    assert_eq!(outcomes["360p"], Err(GiveUp::Deadline));
    assert!(began.elapsed() >= time);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    fleet.counts("deadline_misses_total", "", 1.0).await;
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_worthless() {
    let late = late(Duration::from_secs(3));
    let fleet = Fleet::new(vec![vec![late]]).await;
    fleet
        .none_comes(Duration::from_millis(300), GiveUp::Deadline)
        .await;
    fleet.none_comes(Duration::ZERO, GiveUp::Deadline).await;
}

#[tokio::test]
async fn a_polite_goodbye_costs_nothing() {
    let fleet = Fleet::new(vec![vec![]]).await;
    for _ in 0..5 {
        fleet.both_come().await;
        fleet.nodes[0].go_away();
    }
    fleet.counts("attempts_total", "complete", 5.0).await;
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
    let mut outcomes = fleet.submit(PLENTY);
    assert!(matches!(outcomes.recv().await, Some(Outcome::Ready { .. })));
    fleet.dispatcher.update_members(&[]);
    assert!(matches!(outcomes.recv().await, Some(Outcome::Ready { .. })));
    assert_eq!(outcomes.recv().await, None);
}

#[tokio::test]
async fn nobody_waits_so_the_node_is_let_go() {
    let fleet = Fleet::new(vec![vec![stall()]]).await;
    let outcomes = fleet.submit(PLENTY);
    fleet.until("the request", |f| f.asked(0).len() == 1).await;
    drop(outcomes);
    fleet
        .until("the cancellation", |f| f.nodes[0].cancelled() == 1)
        .await;
    assert_eq!((fleet.failures(0), fleet.in_flight(0)), (0, 0));
}

#[tokio::test]
async fn segments_in_flight_are_bounded() {
    let (mut of_all, mut of_one) = (unhedged(), unhedged());
    of_all.dispatch.max_segments_in_flight = 1;
    of_one.dispatch.max_segments_per_stream = 1;
    for config in [of_all, of_one] {
        let fleet = Fleet::with(&config, vec![vec![stall()]]).await;
        let _first = fleet.submit(PLENTY);
        fleet.none_comes(PLENTY, GiveUp::TooManyInFlight).await;
    }
}

#[tokio::test]
async fn a_trial_asks_one_node_and_says_what_is_wrong_with_it() {
    let nonsense = answer(|job| {
        let part = |spec: &RenditionSpec| {
            let head = PartHead {
                rendition: spec.name.clone(),
                chunk: 0,
                last: true,
            };
            Step::Send(chunk(&head, b"nonsense"))
        };
        let steps = job.spec.renditions.iter().map(part);
        sends(steps.chain([Step::Send(summary(None))]).collect())
    });
    let fleet = Fleet::new(vec![vec![], vec![nonsense]]).await;
    let order = media::order(&BOTH, 5000, PLENTY);
    let job = Job {
        stream: order.token,
        sequence: order.sequence,
        deadline: PLENTY,
        attempt: 1,
        quarantine: false,
        spec: order.spec,
    };
    let trial = |port| {
        let (job, body) = (job.clone(), order.body.clone());
        fleet
            .dispatcher
            .trial(Endpoint::new("127.0.0.1", port), job, body)
    };
    trial(fleet.nodes[0].addr.port()).await.unwrap();
    let wrong = trial(fleet.nodes[1].addr.port()).await.unwrap_err();
    assert!(
        matches!(wrong, TrialError::Failed("wrong-media", _)),
        "{wrong}"
    );
    // The port is ours, and nobody listens there.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = closed.local_addr().unwrap().port();
    let away = trial(port).await.unwrap_err();
    assert!(matches!(away, TrialError::Failed("connect", _)), "{away}");
    assert_eq!((fleet.asked(0).len(), fleet.asked(1).len()), (1, 1));
}
