//! A stream's life as its publishers and players see it: real registry, segmenter and origin,
//! no transcode node, virtual time.

// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use rackcast_consul::directory::Place;
use rackcast_ingest::config::Config;
use rackcast_ingest::directory::{Directory, Look, Seen};
use rackcast_ingest::dispatch::Dispatcher;
use rackcast_ingest::explain::{self, Trails};
use rackcast_ingest::origin::{self, Origin};
use rackcast_ingest::stream::{
    Elsewhere, Ended, Epochs, Metrics, Parts, Publication, PublishRequest, Refused, Registry,
    SecondPublisher, Streams,
};
use rackcast_ingest::{auth, dispatch, segmenter, stream};
use rackcast_route::Router;
use rackcast_segment::id::StreamId;
use rackcast_segment::media::{AccessUnit, MediaEvent, VideoConfig, VideoFormat};
use rackcast_segment::shape::{Colour, Ratio};
use rackcast_segment::time::Timestamp;
use rackcast_service::drain::{Order, Terms, unix_ms};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const FRAME: i64 = 3600;

/// What the directory of streams says of others.
#[derive(Debug, Clone)]
struct Others(Arc<Mutex<Seen>>);

impl Others {
    fn are(&self, places: Vec<Place>) {
        *self.0.lock().unwrap() = Seen::At(Arc::new(places));
    }

    fn silent(&self) {
        *self.0.lock().unwrap() = Seen::Unknown;
    }
}

impl Look for Others {
    fn look<'a>(&'a self, _: &'a StreamId) -> BoxFuture<'a, Seen> {
        let seen = self.0.lock().unwrap().clone();
        Box::pin(async move { seen })
    }
}

/// An epoch at another ingest that begins in so many milliseconds.
fn place(in_ms: u64, waiting: bool) -> Place {
    let epoch = unix_ms(SystemTime::now()) + in_ms;
    Place {
        ingest: "rackcast-ingest-b-1".to_owned(),
        node: "b".to_owned(),
        zone: String::new(),
        epoch,
        sequence: epoch / 1000,
        waiting,
        public: "http://10.0.0.2:8080".to_owned(),
        internal: "10.0.0.2:8080".to_owned(),
        since: SystemTime::now(),
        at: SystemTime::now(),
    }
}

struct Ingest {
    origin: Arc<Origin>,
    streams: Streams,
    orders: watch::Sender<Order>,
    others: Others,
    _state: tempfile::TempDir,
}

impl Ingest {
    fn start(second_publisher: SecondPublisher) -> Self {
        Self::with(second_publisher, origin::Config::default())
    }

    fn with(second_publisher: SecondPublisher, config: origin::Config) -> Self {
        let state = tempfile::tempdir().unwrap();
        let metrics = prometheus::Registry::new();
        let origin = Arc::new(Origin::new(config, &metrics).unwrap());
        let router = Router::new(Config::default().router(), "test", Instant::now());
        let trails = Arc::new(Trails::new(explain::Config::default(), &metrics).unwrap());
        let dispatcher =
            Dispatcher::new(dispatch::Config::default(), router, trails, &metrics).unwrap();
        let open = auth::Config {
            mode: auth::Mode::Open,
            ..auth::Config::default()
        };
        let orders = watch::Sender::new(Order::default());
        let others = Others(Arc::new(Mutex::new(Seen::default())));
        let registry = Registry::new(Parts {
            settings: Arc::new(ArcSwap::from_pointee(stream::Settings {
                config: stream::Config {
                    second_publisher,
                    max_streams: 2,
                    ..stream::Config::default()
                },
                segmenter: segmenter::Config::default(),
                authoriser: auth::Authoriser::new(&open).unwrap(),
            })),
            origin: Arc::clone(&origin),
            dispatcher: Arc::new(dispatcher),
            epochs: Epochs::open(state.path()).unwrap(),
            metrics: Metrics::register(&metrics).unwrap(),
            directory: Directory::new(Arc::new(others.clone())),
            elsewhere: Elsewhere::default(),
            leaving: CancellationToken::new(),
            orders: orders.subscribe(),
            shutdown: CancellationToken::new(),
        });
        let (streams, knocks) = Streams::door(8);
        tokio::spawn(registry.run(knocks));
        Self {
            origin,
            streams,
            orders,
            others,
            _state: state,
        }
    }

    async fn publish(&self, name: &str) -> Result<Publication, Refused> {
        let request = PublishRequest {
            app: "live".to_owned(),
            name_and_query: name.to_owned(),
            protocol: "test",
            peer: ([127, 0, 0, 1], 9).into(),
        };
        self.streams.publish(request).await
    }

    async fn playlist(&self, path: &str) -> Option<String> {
        let request = http::Request::get(path).body(()).unwrap();
        let response = origin::http::handle(&self.origin, &request);
        if let Some(there) = response.headers().get("location") {
            let (folder, _) = path.rsplit_once('/').unwrap();
            let there = format!("{folder}/{}", there.to_str().unwrap());
            return Box::pin(self.playlist(&there)).await;
        }
        if response.status() != 200 {
            return None;
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    /// Waits until the source's playlist fulfils `condition`, in virtual time.
    async fn source(&self, name: &str, condition: impl Fn(&str) -> bool) -> String {
        let path = format!("/live/{name}/source.m3u8");
        for _ in 0..1000 {
            if let Some(text) = self.playlist(&path).await
                && condition(&text)
            {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never did: {:?}", self.playlist(&path).await);
    }
}

fn config() -> MediaEvent {
    let format = VideoFormat {
        width: 320,
        height: 180,
        profile_idc: 100,
        constraints: 0,
        level_idc: 13,
        frame_rate: Ratio::new(25, 1),
        sample_aspect: Ratio::ONE,
        colour: Colour::default(),
        interlaced: false,
        samples: Default::default(),
        codec: Default::default(),
    };
    let (sps, pps) = (
        Bytes::from_static(&[0x67, 1]),
        Bytes::from_static(&[0x68, 1]),
    );
    MediaEvent::VideoConfig(VideoConfig { sps, pps, format })
}

/// Sends `seconds` of pictures, a keyframe every two seconds, as if from a new connection.
async fn send(publication: &mut Publication, seconds: i64) -> Result<(), Ended> {
    publication.send(config()).await?;
    for n in 0..seconds * 25 {
        let idr = n % 50 == 0;
        let nal: &'static [u8] = if idr {
            &[0, 0, 0, 1, 0x65, 9]
        } else {
            &[0, 0, 0, 1, 0x41, 9]
        };
        let at = Timestamp(900_000 + n * FRAME);
        let data = Bytes::from_static(nal);
        publication
            .send(MediaEvent::Video(AccessUnit {
                pts: at,
                dts: at,
                idr,
                data,
            }))
            .await?;
    }
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);
const ENDLIST: &str = "#EXT-X-ENDLIST";

fn epochs(playlist: &str) -> Vec<u64> {
    let listed = segments(playlist);
    let mut epochs: Vec<_> = listed.iter().map(|s| epoch(s).parse().unwrap()).collect();
    epochs.dedup();
    epochs
}

fn numbers(playlist: &str) -> Vec<u64> {
    let number = |segment: &&str| {
        let file = segment.rsplit('/').next().unwrap();
        file.trim_end_matches(".ts").parse().unwrap()
    };
    segments(playlist).iter().map(number).collect()
}

fn segments(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|l| l.ends_with(".ts")).collect()
}

fn epoch(segment: &str) -> &str {
    let mut parts = segment.rsplit('/');
    parts.nth(2).unwrap()
}

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
