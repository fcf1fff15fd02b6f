//! What one segment costs on this machine, outside and inside a transcoder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Counters, Layout, Limits, Writer, restamp};
use rackcast_service::status::Role;
use rackcast_service::tls::{
    Credentials, Dialler, Door, Identity, Metrics, ServerConfig, Stream, Use,
};
use rackcast_tests::job;
use rackcast_tests::pki::{Authority, Files, member};
use rackcast_tests::publish::{Sample, pictures};
use rackcast_tests::rack::Node;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Each measurement lasts about so long.
const SPAN: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let sample = Sample {
        seconds: 60,
        width: 1280,
        height: 720,
        ..Sample::default()
    };
    let whole = pictures(&sample.file());
    let demuxed = ts::read(&whole, Timestamp(900_000), &Limits::default()).unwrap();
    let segments = job::cut(demuxed.video);
    let units: &[AccessUnit] = &segments[0];
    let layout = Layout {
        video: true,
        audio: false,
    };
    let body = Writer::new(layout).segment(units, None);
    println!(
        "one segment: {} pictures of 1280x720, {} bytes\n",
        units.len(),
        body.len()
    );

    let mut writer = Writer::new(layout);
    measure("write MPEG-TS", body.len(), || {
        black_box(writer.segment(units, None));
    });
    measure("read MPEG-TS", body.len(), || {
        black_box(ts::read(&body, units[0].pts, &Limits::default()).unwrap());
    });
    let (mut bytes, mut counters) = (body.to_vec(), Counters::default());
    measure("restamp counters", body.len(), || {
        restamp(&mut bytes, &mut counters).unwrap();
    });

    let (clear, secure) = (line(None).await, line(Some(&Authority::new("bench"))).await);
    let (clear, secure) = (clear.rounds(&body).await, secure.rounds(&body).await);
    println!(
        "there and back  {clear:.2} ms of processor a segment in cleartext, {secure:.2} over TLS \
         ({:.1} times)\n",
        secure / clear
    );

    let node = Node::start("").await;
    for ladder in [
        "720p@2800k,480p@1400k,360p@800k,240p@400k",
        "360p@800k,240p@400k",
    ] {
        let mut times = Vec::new();
        for (number, units) in segments.iter().take(10).enumerate() {
            let body = Writer::new(layout).segment(units, None);
            let job = job::job(number, units, body.len(), &ladder.parse().unwrap());
            let start = Instant::now();
            node.transcode(&job, body).await.unwrap();
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let (best, middle) = (times[0], times[times.len() / 2]);
        println!("transcode to {ladder}: best {best:.3} s, median {middle:.3} s for 2 s of media");
    }
}

/// Two ends of a connection over loopback.
struct Line {
    near: Stream,
    far: Stream,
}

/// Connects the two ends, in cleartext or as members of a fleet.
async fn line(fleet: Option<&Authority>) -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    let (near, (far, peer)) = (near.unwrap(), far.unwrap());
    let Some(fleet) = fleet else {
        return Line {
            near: near.into(),
            far: far.into(),
        };
    };
    let metrics = Metrics::new().unwrap();
    let load = |identity: &Identity| {
        let files = Files::new(&fleet.member(identity), &fleet.pem);
        let purpose = Use::Member {
            role: identity.role,
            node: identity.node.clone(),
        };
        let files = files.client().files(purpose);
        Credentials::load("bench", files, metrics.clone()).unwrap()
    };
    let (node, caller) = (
        member(Role::Transcode, "node"),
        member(Role::Ingest, "edge"),
    );
    let (limits, own) = (ServerConfig::default(), load(&node));
    let door = Door::for_members("bench", own, Role::Ingest, &limits, metrics.clone()).unwrap();
    let dialler = Dialler::new("bench", load(&caller), metrics);
    let answer = async {
        let mut far = door.accept(far, peer).await.unwrap();
        far.write_all(b".").await.unwrap();
        far.flush().await.unwrap();
        far
    };
    let (far, near) = tokio::join!(answer, dialler.call_member(near, &node));
    let mut near = near.unwrap();
    near.read_u8().await.unwrap();
    Line { near, far }
}

impl Line {
    /// Milliseconds of processor time, of both ends together, for a segment there and as much
    /// back.
    async fn rounds(mut self, body: &[u8]) -> f64 {
        let processor = || {
            let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
            let time = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
            time(used.user_time()) + time(used.system_time())
        };
        let (start, before, mut rounds) = (Instant::now(), processor(), 0);
        let (mut there, mut back) = (vec![0; body.len()], vec![0; body.len()]);
        while start.elapsed() < SPAN {
            let (near, far) = (&mut self.near, &mut self.far);
            let sent = async {
                near.write_all(body).await.unwrap();
                near.flush().await.unwrap();
                near.read_exact(&mut back).await.unwrap();
            };
            let answered = async {
                far.read_exact(&mut there).await.unwrap();
                far.write_all(body).await.unwrap();
                far.flush().await.unwrap();
            };
            tokio::join!(sent, answered);
            rounds += 1;
        }
        (processor() - before) * 1e3 / f64::from(rounds)
    }
}

fn measure(what: &str, bytes: usize, mut run: impl FnMut()) {
    let (start, mut rounds) = (Instant::now(), 0_u32);
    while start.elapsed() < SPAN {
        run();
        rounds += 1;
    }
    let each = start.elapsed() / rounds;
    let rate = bytes as f64 / each.as_secs_f64() / 1e6;
    println!("{what:18} {each:>10.1?} a segment, {rate:.0} MB/s");
}
