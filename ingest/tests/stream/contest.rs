//! Other ingests that have the stream.

use bytes::Bytes;
use rackcast_ingest::stream::{self, SecondPublisher};
use rackcast_segment::media::{AccessUnit, MediaEvent};
use rackcast_segment::time::Timestamp;

use crate::ingest::{ENDLIST, FRAME, Ingest, SECOND, epochs, numbers, place, segments, send};

#[tokio::test(start_paused = true)]
async fn a_stream_whose_publisher_went_to_another_ingest_is_not_declared_over() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 4).await.unwrap();
    drop(publication);
    let before = ingest.source("show", |p| segments(p).len() == 2).await;
    let theirs = place(60_000, false);
    ingest.others.are(vec![theirs.clone()]);
    tokio::time::sleep(2 * stream::Config::default().grace).await;
    let after = ingest.playlist("/live/show/source.m3u8").await.unwrap();
    assert_eq!(after, before, "and without an end");

    // It comes back: above what it was there, in the same playlists.
    let address = format!("/live/show/{}/source.m3u8", epochs(&before)[0]);
    let mut publication = ingest.publish("show").await.unwrap();
    tokio::time::sleep(SECOND).await;
    send(&mut publication, 4).await.unwrap();
    publication.finish().await;
    ingest.others.are(vec![]);
    let again = ingest.source("show", |p| p.contains(ENDLIST)).await;
    assert!(epochs(&again)[0] > theirs.epoch, "{again}");
    assert!(numbers(&again)[0] > theirs.sequence, "{again}");
    assert!(again.contains("#EXT-X-DISCONTINUITY\n"), "{again}");
    assert_eq!(ingest.playlist(&address).await.unwrap(), again);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_says_nothing_leaves_what_was_lost_without_an_end() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    for (name, finishes) in [("lost", false), ("finished", true)] {
        let mut publication = ingest.publish(name).await.unwrap();
        send(&mut publication, 4).await.unwrap();
        ingest.others.silent();
        match finishes {
            true => publication.finish().await,
            false => drop(publication),
        }
        tokio::time::sleep(2 * stream::Config::default().grace).await;
        let path = format!("/live/{name}/source.m3u8");
        let left = ingest.playlist(&path).await.unwrap();
        assert_eq!(left.contains(ENDLIST), finishes, "{name}: {left}");
        // Either way it is not carried here any more.
        ingest.others.are(vec![]);
        ingest.publish(name).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_returns_before_its_move_was_seen_begins_above_it() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut first = ingest.publish("show").await.unwrap();
    send(&mut first, 4).await.unwrap();
    ingest.others.silent();
    drop(first);
    let mut second = ingest.publish("show").await.unwrap();
    let theirs = place(5_000, true);
    ingest.others.are(vec![theirs.clone()]);
    tokio::time::sleep(SECOND).await;
    send(&mut second, 4).await.unwrap();
    let listed = ingest.source("show", |p| epochs(p)[0] > theirs.epoch).await;
    assert!(numbers(&listed)[0] > theirs.sequence, "{listed}");
}

#[tokio::test(start_paused = true)]
async fn a_third_life_within_moments_counts_on_from_the_second() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut theirs = place(0, true);
    let counted = theirs.epoch / 5_000 % 100_000 + 1;
    theirs.discontinuity = Some(counted);
    ingest.others.are(vec![theirs]);
    let mut publication = ingest.publish("show").await.unwrap();
    tokio::time::sleep(SECOND).await;
    send(&mut publication, 6).await.unwrap();
    let listed = ingest.source("show", |p| !segments(p).is_empty()).await;
    let next = format!("#EXT-X-DISCONTINUITY-SEQUENCE:{}\n", counted + 1);
    assert!(listed.contains(&next), "{counted}: {listed}");
}

#[tokio::test(start_paused = true)]
async fn of_two_publishers_the_one_with_the_older_epoch_stands_by_until_it_is_needed() {
    let ingest = Ingest::start(SecondPublisher::Refuse);
    let mut publication = ingest.publish("show").await.unwrap();
    send(&mut publication, 6).await.unwrap();
    let before = ingest.source("show", |p| !segments(p).is_empty()).await;
    let address = format!("/live/show/{}/source.m3u8", epochs(&before)[0]);
    // It comes again, and sees on that occasion that there is another one.
    ingest.others.silent();
    drop(publication);
    let mut publication = ingest.publish("show").await.unwrap();
    let theirs = place(60_000, false);
    ingest.others.are(vec![theirs.clone()]);
    tokio::time::sleep(SECOND).await;
    send(&mut publication, 8).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    let standing = ingest.playlist(&address).await.unwrap();
    assert_eq!(epochs(&standing), epochs(&before), "it publishes nothing");
    assert!(!standing.contains(ENDLIST));

    ingest.others.are(vec![]);
    tokio::time::sleep(2 * SECOND).await;
    let mut at = 900_000 + 8 * 90_000;
    for n in 0..100 {
        let data = Bytes::from_static(if n % 50 == 0 {
            &[0, 0, 0, 1, 0x65, 9]
        } else {
            &[0, 0, 0, 1, 0x41, 9]
        });
        let picture = AccessUnit {
            pts: Timestamp(at),
            dts: Timestamp(at),
            idr: n % 50 == 0,
            data,
        };
        publication.send(MediaEvent::Video(picture)).await.unwrap();
        at += FRAME;
    }
    let listed = ingest.source("show", |p| epochs(p)[0] > theirs.epoch).await;
    assert!(numbers(&listed)[0] > theirs.sequence, "{listed}");
    assert_eq!(ingest.playlist(&address).await.unwrap(), listed);
}
