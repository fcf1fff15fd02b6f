//! What one segment costs on this machine, outside and inside a transcoder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{self, Counters, Layout, Limits, Writer, restamp};
use rackcast_tests::job;
use rackcast_tests::publish::{Sample, pictures};
use rackcast_tests::rack::Node;

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
