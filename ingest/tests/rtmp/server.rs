//! Real sockets: time-outs, limits, and a real publisher.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::Registry;
use rackcast_ingest::rtmp::{self, Config, Metrics};
use rackcast_ingest::stream::{Ended, Feed, Input, Publication, Refused, Streams};
use rackcast_ingest::turn::Turn;
use rackcast_segment::id::StreamId;
use rackcast_segment::media::MediaEvent;
use rackcast_segment::time::{Ticks, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    /// The publishers that were let in, as the stream layer sees them.
    feeds: mpsc::Receiver<(StreamId, Feed)>,
    registry: Registry,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// `refuse` gives the reason why a publisher is refused, if it is.
    async fn start(config: Config, refuse: fn(&str) -> Option<Refused>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let shutdown = CancellationToken::new();
        let (streams, mut knocks) = Streams::door(4);
        let (let_in, feeds) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(knock) = knocks.recv().await {
                let name = knock.request.name_and_query.clone();
                let answer = match refuse(&name) {
                    Some(refused) => Err(refused),
                    None => {
                        let name = name.split('?').next().unwrap();
                        let id: StreamId = format!("{}/{name}", knock.request.app).parse().unwrap();
                        let (publication, feed) = Publication::pair(id.clone());
                        let_in.send((id, feed)).await.unwrap();
                        Ok(publication)
                    }
                };
                let _ = knock.reply.send(answer);
            }
        });
        let task = tokio::spawn(rtmp::serve(
            listener,
            streams,
            Arc::new(ArcSwap::from_pointee(config)),
            metrics,
            Turn::until(shutdown.clone()),
        ));
        Self {
            address,
            feeds,
            registry,
            shutdown,
            task,
        }
    }

    async fn feed(&mut self) -> (StreamId, Feed) {
        timeout(LIMIT, self.feeds.recv()).await.unwrap().unwrap()
    }

    fn counted(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|f| f.name() == format!("rackcast_ingest_rtmp_{name}"));
        let metrics = family.iter().flat_map(|f| f.get_metric());
        metrics
            .filter(|m| label.is_empty() || m.get_label().iter().any(|l| l.value() == label))
            .map(|m| m.get_counter().get_value() + m.get_gauge().get_value())
            .sum()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(LIMIT, self.task).await.unwrap().unwrap();
    }
}

fn quick() -> Config {
    Config {
        handshake_timeout: Duration::from_millis(300),
        publish_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_millis(300),
        linger_timeout: Duration::from_millis(300),
        ..Config::default()
    }
}

fn accept(_: &str) -> Option<Refused> {
    None
}

/// A peer of the server.
struct Client {
    socket: TcpStream,
    answers: Answers,
    statuses: Vec<(String, String)>,
}

impl Client {
    async fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(server.address).await.unwrap();
        Self {
            socket,
            answers: Answers::default(),
            statuses: Vec::new(),
        }
    }

    async fn publishing(server: &Server, name: &str) -> Self {
        let mut client = Self::connect(server).await;
        let parts = [
            client_handshake(),
            connect("live"),
            create_stream(),
            publish(name),
        ];
        client.send(&parts.concat()).await;
        client.told("NetStream.Publish.Start").await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads what has come; false at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let count = timeout(LIMIT, self.socket.read(&mut bytes))
            .await
            .expect("stalled");
        let count = count.unwrap_or(0);
        for message in self.answers.push(&bytes[..count]) {
            self.statuses
                .extend(read_command(&message).and_then(|(_, status)| status));
        }
        count > 0
    }

    /// Reads until this code was said; its description.
    async fn told(&mut self, code: &str) -> String {
        loop {
            if let Some((_, description)) = self.statuses.iter().find(|(c, _)| c == code) {
                return description.clone();
            }
            assert!(
                self.read().await,
                "{code} was never said: {:?}",
                self.statuses
            );
        }
    }

    async fn closed(&mut self) {
        while self.read().await {}
    }
}

#[tokio::test]
async fn a_stalled_handshake_times_out() {
    let server = Server::start(quick(), accept).await;
    let (mut silent, mut slow) = (
        Client::connect(&server).await,
        Client::connect(&server).await,
    );
    slow.send(&client_handshake()[..2000]).await;
    silent.closed().await;
    slow.closed().await;
    assert_eq!(server.counted("timeouts_total", "handshake"), 2.0);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_never_publishes_times_out() {
    let server = Server::start(quick(), accept).await;
    let mut client = Client::connect(&server).await;
    client
        .send(&[client_handshake(), connect("live")].concat())
        .await;
    client.told("NetConnection.Connect.Success").await;
    client.closed().await;
    assert_eq!(server.counted("timeouts_total", "publish"), 1.0);
    server.stop().await;
}

#[tokio::test]
async fn a_silent_publisher_is_lost_and_told_so() {
    let mut server = Server::start(quick(), accept).await;
    let mut client = Client::publishing(&server, "show").await;
    let (_, mut feed) = server.feed().await;
    assert!(
        timeout(LIMIT, feed.recv()).await.unwrap().is_none(),
        "lost, not finished"
    );
    assert!(client.told("NetStream.Failed").await.contains("idle"));
    client.closed().await;
    assert_eq!(server.counted("timeouts_total", "idle"), 1.0);
    assert_eq!(server.counted("publishers", ""), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_times_out() {
    let config = Config {
        idle_timeout: LIMIT,
        publish_timeout: LIMIT,
        ..quick()
    };
    let server = Server::start(config, accept).await;
    let mut client = Client::connect(&server).await;
    client.send(&client_handshake()).await;
    // Six bytes of ping each; every answer is longer.
    let first = chunks(2, &message(4, 0, 0, vec![0, 6, 0, 0, 0, 0]));
    let more = [0xc2, 0, 6, 0, 0, 0, 0].repeat(100_000);
    client.send(&first).await;
    let flood = async { while client.socket.write_all(&more).await.is_ok() {} };
    timeout(LIMIT, flood)
        .await
        .expect("the server takes and takes");
    assert_eq!(server.counted("timeouts_total", "write"), 1.0);
    server.stop().await;
}

#[tokio::test]
async fn connections_are_limited_by_address() {
    let config = Config {
        connections_per_address: 2,
        ..Config::default()
    };
    let server = Server::start(config, accept).await;
    let mut first = Client::publishing(&server, "one").await;
    let _second = Client::publishing(&server, "two").await;
    let mut third = Client::connect(&server).await;
    third.closed().await;
    assert_eq!(
        server.counted("turned_away_total", "connections_per_address"),
        1.0
    );
    first.socket.shutdown().await.unwrap();
    first.closed().await;
    // The place is free a moment after the connection is.
    let again = async {
        loop {
            let mut client = Client::connect(&server).await;
            let _ = client.socket.write_all(&client_handshake()).await;
            if client.read().await {
                break;
            }
        }
    };
    timeout(LIMIT, again).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_duplicate_publisher_is_refused_with_the_reason() {
    let taken = |_: &str| Some(Refused::Taken("live/show".parse().unwrap()));
    let server = Server::start(Config::default(), taken).await;
    let mut client = Client::connect(&server).await;
    let parts = [
        client_handshake(),
        connect("live"),
        create_stream(),
        publish("show"),
    ];
    client.send(&parts.concat()).await;
    let why = client.told("NetStream.Publish.BadName").await;
    assert_eq!(why, "the stream live/show has a publisher already");
    client.closed().await;
    assert_eq!(server.counted("refusals_total", "taken"), 1.0);
    server.stop().await;
}

#[tokio::test]
async fn a_publisher_whose_stream_is_taken_over_is_told() {
    let mut server = Server::start(Config::default(), accept).await;
    let mut client = Client::publishing(&server, "show").await;
    let (_, feed) = server.feed().await;
    feed.end(Ended::TakenOver);
    assert!(
        client
            .told("NetStream.Failed")
            .await
            .contains("took the stream over")
    );
    client.closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_reconnect_while_the_first_connection_is_torn_down() {
    let mut server = Server::start(Config::default(), accept).await;
    let mut first = Client::publishing(&server, "show").await;
    let (_, mut old) = server.feed().await;
    // A protocol error: the server lingers over its farewell while the publisher returns.
    first.send(&[0x45, 0]).await;
    let bad = message(rtmp::chunk::kind::AGGREGATE, 1, 0, vec![0]);
    first.send(&[&[0; 7][..], &chunks(9, &bad)].concat()).await;
    let mut second = Client::publishing(&server, "show").await;
    let (_, mut new) = server.feed().await;
    assert!(
        timeout(LIMIT, old.recv()).await.unwrap().is_none(),
        "lost, not finished"
    );
    second.send(&video(0, avc_config(AVC_640X360))).await;
    let input = timeout(LIMIT, new.recv()).await.unwrap();
    assert!(matches!(
        input,
        Some(Input::Media(MediaEvent::VideoConfig(_)))
    ));
    second.send(&delete_stream()).await;
    assert!(matches!(
        timeout(LIMIT, new.recv()).await.unwrap(),
        Some(Input::Finish)
    ));
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_tells_publishers_to_go() {
    let mut server = Server::start(Config::default(), accept).await;
    let mut client = Client::publishing(&server, "show").await;
    let (_, mut feed) = server.feed().await;
    server.shutdown.cancel();
    assert!(
        client
            .told("NetStream.Failed")
            .await
            .contains("shutting down")
    );
    client.closed().await;
    assert!(
        timeout(LIMIT, feed.recv()).await.unwrap().is_none(),
        "lost, not finished"
    );
    drop(client);
    server.stop().await;
}

/// Runs ffmpeg with a moving picture and a tone; whether it succeeded, and what it said.
async fn ffmpeg(address: SocketAddr, name: &str, options: &str) -> (bool, String) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-v", "info"])
        .args(options.split_whitespace())
        .args(["-f", "flv", &format!("rtmp://{address}/live/{name}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output())
        .await
        .expect("ffmpeg hangs")
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

const SOURCE: &str = "-f lavfi -i testsrc2=s=320x180:r=30000/1001:d=3 \
                      -f lavfi -i sine=r=44100:d=3";
const B_FRAMES: &str = "-c:v libx264 -preset veryfast -bf 2 -g 30 -pix_fmt yuv420p";

#[tokio::test]
async fn a_real_publisher() {
    let mut server = Server::start(Config::default(), accept).await;
    let options = format!("{SOURCE} {B_FRAMES} -c:a aac");
    let address = server.address;
    let publisher = tokio::spawn(async move { ffmpeg(address, "show?key=k", &options).await });
    let (id, mut feed) = server.feed().await;
    assert_eq!(id.to_string(), "live/show");
    let (mut video, mut audio, mut configs) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match timeout(LIMIT, feed.recv()).await.unwrap().expect("lost") {
            Input::Media(MediaEvent::Video(picture)) => video.push(picture),
            Input::Media(MediaEvent::Audio(frame)) => audio.push(frame),
            Input::Media(config) => configs.push(config),
            Input::Finish => break,
        }
    }
    let (success, said) = publisher.await.unwrap();
    assert!(success, "{said}");

    let sizes = configs.iter().filter_map(|c| match c {
        MediaEvent::VideoConfig(c) => Some((c.format.width, c.format.height)),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(320, 180)]);
    assert_eq!(configs.len(), 2, "one of each");
    assert_eq!(video.len(), 90);
    assert!(video[0].idr && video.iter().filter(|p| p.idr).count() >= 3);
    assert!(video.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(video.iter().all(|p| p.pts >= p.dts));
    assert!(
        video.iter().any(|p| p.pts > p.dts + Ticks::from_millis(50)),
        "B-frames"
    );
    let near = Timestamp(900_000);
    assert!((video[0].dts - near).0.abs() < 90_000);
    let first = audio[0].pts;
    for (n, frame) in audio.iter().enumerate() {
        let exact = Ticks(n as i64 * 1024 * 90_000 / 44_100);
        assert_eq!(frame.pts, first + exact, "audio frame {n}");
    }
    assert!(audio.len() >= 129);
    assert_eq!(server.counted("notices_total", ""), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_real_publisher_learns_why_it_is_refused() {
    let denied = |_: &str| Some(Refused::Denied("no such stream key".to_owned()));
    let server = Server::start(Config::default(), denied).await;
    let options = format!("{SOURCE} {B_FRAMES} -an");
    let (success, said) = ffmpeg(server.address, "show", &options).await;
    assert!(!success);
    assert!(said.contains("no such stream key"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn a_real_publisher_of_mp3_learns_what_is_wrong() {
    let server = Server::start(Config::default(), accept).await;
    let options = "-re -f lavfi -i sine=r=44100:d=20 -c:a libmp3lame";
    let (success, said) = ffmpeg(server.address, "show", options).await;
    assert!(!success);
    assert!(said.contains("MP3 audio is not supported"), "{said}");
    server.stop().await;
}

/// GStreamer has two publishers: one of its own, and librtmp, which OBS uses as well.
#[tokio::test]
async fn other_real_publishers() {
    for sink in ["rtmpsink", "rtmp2sink"] {
        let mut server = Server::start(Config::default(), accept).await;
        let pipeline = format!(
            "videotestsrc num-buffers=60 ! video/x-raw,format=I420,width=320,height=180,framerate=30/1 \
             ! x264enc key-int-max=30 ! h264parse ! flvmux name=mux streamable=true \
             ! {sink} location=rtmp://{}/live/show \
             audiotestsrc num-buffers=90 samplesperbuffer=1024 ! audio/x-raw,rate=44100 \
             ! avenc_aac ! aacparse ! mux.",
            server.address
        );
        let mut publisher = Command::new("gst-launch-1.0")
            .arg("--quiet")
            .args(pipeline.split_whitespace())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (_, mut feed) = server.feed().await;
        let (mut video, mut audio) = (0, 0);
        loop {
            match timeout(LIMIT, feed.recv()).await.unwrap() {
                Some(Input::Media(MediaEvent::Video(_))) => video += 1,
                Some(Input::Media(MediaEvent::Audio(_))) => audio += 1,
                Some(Input::Media(_)) => {}
                Some(Input::Finish) => break,
                None => panic!("{sink}: lost, not finished"),
            }
        }
        let status = timeout(LIMIT, publisher.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{sink}: {status}");
        assert_eq!(video, 60, "{sink}");
        assert!(audio >= 88, "{sink}: {audio}");
        assert_eq!(server.counted("notices_total", ""), 0.0, "{sink}");
        server.stop().await;
    }
}
