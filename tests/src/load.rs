//! Several small streams at once, published and followed.

use std::time::Duration;

use futures_util::future::join_all;

use crate::player::Player;
use crate::process::Process;
use crate::proxy::Asked;
use crate::publish::{Sample, publish};
use crate::rack::Ingest;
use crate::recording::Recording;

/// Bitrates by which the streams of a load are told from each other: see [`stream_of`].
const MARK: u32 = 1_000;
const MODULUS: u32 = 100_000;

/// Streams begin one after another within the length of a segment, so that their segments come one
/// after another too, as those of strangers do.
const SPREAD: Duration = Duration::from_secs(2);

/// Streams under way; ended when dropped.
#[derive(Debug, Default)]
pub struct Load(Vec<Stream>);

#[derive(Debug)]
struct Stream {
    name: String,
    player: Player,
    _publisher: Process,
}

/// What every stream carries: pictures that cost little, a keyframe every two seconds.
fn sample(length: Duration) -> Sample {
    Sample {
        seconds: u32::try_from(length.as_secs()).unwrap(),
        width: 320,
        height: 180,
        rate: 12,
        audio: false,
        ..Sample::default()
    }
}

/// Configuration of an ingest for these streams, each of two rungs.
///
/// Nodes know a stream by a token that nobody can foresee; every stream therefore has bitrates of
/// its own.
pub fn config(streams: &[String]) -> String {
    let entry = |(i, stream): (usize, &String)| {
        let mark = u32::try_from(i).unwrap() * MARK;
        assert!(mark < MODULUS, "too many streams");
        format!(
            "[[auth.streams]]\napp = \"live\"\nstream = \"{stream}\"\nkey = \"key-of-{stream}\"\n\
             ladder = \"180p@{},low:90@{}\"\n",
            3 * MODULUS + mark,
            MODULUS + mark
        )
    };
    let entries: String = streams.iter().enumerate().map(entry).collect();
    format!("[auth]\nmode = \"table\"\n{entries}")
}

/// Which of the streams that [`config`] was made for a request is about.
///
/// # Panics
/// None of them.
pub fn stream_of<'a>(streams: &'a [String], asked: &Asked) -> &'a str {
    let rendition = asked.job.spec.renditions.first().expect("a rendition");
    let i = rendition.bitrate % MODULUS / MARK;
    &streams[usize::try_from(i).unwrap()]
}

impl Load {
    /// Begins to publish these streams of `live`, for so long at most, and to follow them.
    ///
    /// # Panics
    /// One of them does not begin within 30 s.
    pub async fn start(ingest: &Ingest, streams: &[String], length: Duration) -> Self {
        let file = sample(length).file();
        let apart = SPREAD / u32::try_from(streams.len().max(1)).unwrap();
        let start = |(i, name): (u32, &String)| {
            let url = format!("{}/live/{name}?key=key-of-{name}", ingest.rtmp);
            let master = format!("{}/live/{name}/master.m3u8", ingest.hls);
            let (name, file) = (name.clone(), file.clone());
            async move {
                tokio::time::sleep(i * apart).await;
                let publisher = publish(&file, &url);
                Stream {
                    name,
                    player: Player::follow(&master).await,
                    _publisher: publisher,
                }
            }
        };
        Self(join_all((0..).zip(streams).map(start)).await)
    }

    /// Adds the streams of another one.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Waits until every rendition of every stream has listed so many segments more than now.
    ///
    /// # Panics
    /// It takes far too long.
    pub async fn more(&self, segments: usize) {
        let limit = Duration::from_secs(20 + 6 * segments as u64);
        let waits = self.0.iter().map(|stream| async move {
            let goal = stream.player.so_far().common() + segments;
            let what = format!("{goal} segments of {}", stream.name);
            stream
                .player
                .until(&what, limit, |r| r.common() >= goal)
                .await;
        });
        join_all(waits).await;
    }

    /// Ends the streams; what was seen of each, by name.
    pub async fn stop(self) -> Vec<(String, Recording)> {
        let stops = self
            .0
            .into_iter()
            .map(|stream| async move { (stream.name, stream.player.stop().await) });
        join_all(stops).await
    }
}
