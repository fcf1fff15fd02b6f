//! An ingest without a network: real registry, segmenter and origin, a directory that says what it is told.

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
use rackcast_service::drain::{Order, unix_ms};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const FRAME: i64 = 3600;

/// What the directory of streams says of others.
#[derive(Debug, Clone)]
pub(crate) struct Others(Arc<Mutex<Seen>>);

impl Others {
    pub(crate) fn are(&self, places: Vec<Place>) {
        *self.0.lock().unwrap() = Seen::At(Arc::new(places));
    }

    pub(crate) fn silent(&self) {
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
pub(crate) fn place(in_ms: u64, waiting: bool) -> Place {
    let epoch = unix_ms(SystemTime::now()) + in_ms;
    Place {
        ingest: "rackcast-ingest-b-1".to_owned(),
        node: "b".to_owned(),
        zone: String::new(),
        epoch,
        sequence: epoch / 1000,
        discontinuity: None,
        waiting,
        public: "http://10.0.0.2:8080".to_owned(),
        internal: "10.0.0.2:8080".to_owned(),
        since: SystemTime::now(),
        at: SystemTime::now(),
    }
}

pub(crate) struct Ingest {
    pub(crate) origin: Arc<Origin>,
    pub(crate) streams: Streams,
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) others: Others,
    _state: tempfile::TempDir,
}

impl Ingest {
    pub(crate) fn start(second_publisher: SecondPublisher) -> Self {
        Self::with(second_publisher, origin::Config::default())
    }

    pub(crate) fn with(second_publisher: SecondPublisher, config: origin::Config) -> Self {
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

    pub(crate) async fn publish(&self, name: &str) -> Result<Publication, Refused> {
        let request = PublishRequest {
            app: "live".to_owned(),
            name_and_query: name.to_owned(),
            protocol: "test",
            peer: ([127, 0, 0, 1], 9).into(),
        };
        self.streams.publish(request).await
    }

    pub(crate) async fn playlist(&self, path: &str) -> Option<String> {
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
    pub(crate) async fn source(&self, name: &str, condition: impl Fn(&str) -> bool) -> String {
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

pub(crate) fn config() -> MediaEvent {
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
    let sps = Bytes::from_static(&[0x67, 1]);
    MediaEvent::VideoConfig(VideoConfig { sps, format })
}

/// Sends `seconds` of pictures, a keyframe every two seconds, as if from a new connection.
pub(crate) async fn send(publication: &mut Publication, seconds: i64) -> Result<(), Ended> {
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

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const ENDLIST: &str = "#EXT-X-ENDLIST";

pub(crate) fn epochs(playlist: &str) -> Vec<u64> {
    let listed = segments(playlist);
    let mut epochs: Vec<_> = listed.iter().map(|s| epoch(s).parse().unwrap()).collect();
    epochs.dedup();
    epochs
}

pub(crate) fn numbers(playlist: &str) -> Vec<u64> {
    let number = |segment: &&str| {
        let file = segment.rsplit('/').next().unwrap();
        file.trim_end_matches(".ts").parse().unwrap()
    };
    segments(playlist).iter().map(number).collect()
}

pub(crate) fn segments(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|l| l.ends_with(".ts")).collect()
}

pub(crate) fn epoch(segment: &str) -> &str {
    let mut parts = segment.rsplit('/');
    parts.nth(2).unwrap()
}
