//! From a publisher to the end of what it published.

use std::time::SystemTime;

use rackcast_ingest::origin;
use rackcast_ingest::stream::{self, Ended, Refused, SecondPublisher};
use rackcast_service::drain::{Order, Terms, unix_ms};

use crate::ingest::{ENDLIST, Ingest, epoch, segments, send};

#[tokio::test(start_paused = true)]
async fn a_finished_stream_is_whole_and_ends() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 6).await.unwrap();
    publication.finish().await;
    let playlist = ingest
        .source("show", |p| p.contains("#EXT-X-ENDLIST"))
        .await;
    assert_eq!(segments(&playlist).len(), 3, "{playlist}");
    let gaps = ingest.playlist("/live/show/240p.m3u8").await;
    let gaps = gaps
        .or(ingest.playlist("/live/show/180p.m3u8").await)
        .unwrap();
    assert_eq!(
        gaps.matches("#EXT-X-GAP").count(),
        3,
        "no node, so gaps, never silence: {gaps}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_returns_continues_the_epoch_with_a_discontinuity() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut first = ingest.publish("show").await.unwrap();
    send(&mut first, 4).await.unwrap();
    drop(first);
    let mut second = ingest.publish("show").await.unwrap();
    send(&mut second, 4).await.unwrap();
    second.finish().await;
    let playlist = ingest
        .source("show", |p| p.contains("#EXT-X-ENDLIST"))
        .await;
    let listed = segments(&playlist);
    assert_eq!(listed.len(), 4, "{playlist}");
    assert!(
        listed.iter().all(|s| epoch(s) == epoch(listed[0])),
        "{playlist}"
    );
    assert_eq!(
        playlist.matches("#EXT-X-DISCONTINUITY\n").count(),
        1,
        "{playlist}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_does_not_return_ends_the_stream_after_the_grace() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 4).await.unwrap();
    let lost = tokio::time::Instant::now();
    drop(publication);
    ingest
        .source("show", |p| p.contains("#EXT-X-ENDLIST"))
        .await;
    assert!(lost.elapsed() >= stream::Config::default().grace);
}

#[tokio::test(start_paused = true)]
async fn a_stream_published_again_is_another_one_beside_what_ended() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let ended = |p: &str| p.contains("#EXT-X-ENDLIST");
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 6).await.unwrap();
    publication.finish().await;
    let first = ingest.source("show", ended).await;
    let address = format!("/live/show/{}/source.m3u8", epoch(segments(&first)[0]));

    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 6).await.unwrap();
    let second = ingest.source("show", |p| !ended(p)).await;
    assert_eq!(ingest.playlist(&address).await.as_ref(), Some(&first));
    publication.finish().await;
    ingest.source("show", |p| *p != first && ended(p)).await;
    assert_eq!(ingest.playlist(&address).await.as_ref(), Some(&first));

    let epochs = [first, second].map(|p| epoch(segments(&p)[0]).parse::<u64>().unwrap());
    assert!(epochs[0] < epochs[1], "{epochs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_publisher_is_refused_or_takes_over() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let _first = ingest.publish("show").await.unwrap();
    assert!(matches!(
        ingest.publish("show").await,
        Err(Refused::Taken(_))
    ));

    let ingest = Ingest::start(SecondPublisher::TakeOver);
    let mut first = ingest.publish("show").await.unwrap();
    send(&mut first, 1).await.unwrap();
    let mut second = ingest.publish("show").await.unwrap();
    assert_eq!(first.ended().await, Ended::TakenOver);
    assert_eq!(send(&mut first, 1).await, Err(Ended::TakenOver));
    send(&mut second, 4).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_and_bad_names_are_refused() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    assert!(matches!(
        ingest.publish("../etc").await,
        Err(Refused::Denied(_) | Refused::Name(_))
    ));
    let _one = ingest.publish("one").await.unwrap();
    let _two = ingest.publish("two").await.unwrap();
    assert!(matches!(
        ingest.publish("three").await,
        Err(Refused::Full(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn no_stream_is_begun_for_which_there_is_no_memory() {
    let ingest = Ingest::with(
        SecondPublisher::Refuse,
        origin::Config {
            // One segment and a half.
            max_bytes: 15_000,
            ..origin::Config::default()
        },
    );
    let mut first = ingest.publish("one").await.unwrap();
    send(&mut first, 6).await.unwrap();
    ingest.source("one", |p| segments(p).len() == 1).await;
    match ingest.publish("two").await {
        Err(Refused::Full(why)) => assert!(why.contains("memory"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(first);
    ingest
        .publish("one")
        .await
        .expect("who returns is not refused");
}

#[tokio::test(start_paused = true)]
async fn an_ingest_that_drains_takes_nothing_new_and_keeps_what_it_has_to_the_deadline() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 4).await.unwrap();
    let drains = |deadline_ms| {
        let terms = Terms {
            reason: "new disks".to_owned(),
            deadline_ms,
        };
        Order::new("alice", Some(terms), SystemTime::now())
    };
    ingest.orders.send_replace(drains(None));
    let refused = ingest.publish("other").await.unwrap_err();
    assert!(matches!(refused, Refused::Draining), "{refused}");
    drop(publication);
    let mut returned = ingest.publish("show").await.unwrap();
    send(&mut returned, 4).await.unwrap();

    let past = unix_ms(SystemTime::now()) - 1;
    ingest.orders.send_replace(drains(Some(past)));
    assert_eq!(returned.ended().await, Ended::Drained);
    let refused = ingest.publish("show").await.unwrap_err();
    assert!(matches!(refused, Refused::Draining), "{refused}");
    let playlist = ingest.source("show", |p| segments(p).len() == 4).await;
    assert!(!playlist.contains("#EXT-X-ENDLIST"), "it goes on elsewhere");

    ingest.orders.send_replace(Order::default());
    ingest.publish("other").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_is_left_at_the_deadline_of_a_drain() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 4).await.unwrap();
    drop(publication);
    ingest.source("show", |p| segments(p).len() == 2).await;
    let terms = Terms {
        reason: String::new(),
        deadline_ms: Some(unix_ms(SystemTime::now()) - 1),
    };
    let order = Order::new("alice", Some(terms), SystemTime::now());
    ingest.orders.send_replace(order);
    tokio::time::sleep(2 * stream::Config::default().grace).await;
    let left = ingest.playlist("/live/show/source.m3u8").await.unwrap();
    assert!(!left.contains(ENDLIST), "{left}");
}
