//! Streams on each of the nodes that will fail: not by dice, but one after another.

use std::slice::from_ref;
use std::time::Instant;

use rackcast_tests::fleet::Site;
use rackcast_tests::load::{self, Load};
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::{wait_for, wait_until};

use super::rack::{Rack, is_home};
use super::{LENGTH, LIMIT};

/// While streams are placed they keep to the node that they began on, however busy the machine is:
/// none is left for one that is better, less used or unknown, nor for a job that takes longer than
/// was promised. A node that is new has its whole share at once, and later too.
pub(super) const PLACING: &str = "[dispatch.attempts]\npatience = 1000.0\n\
    [dispatch.hedge]\nenabled = false\n\
    [route]\ncuriosity = 0.0\n\
    [route.home]\nleast_gain = \"3s\"\nbalance = 0.0\n\
    [route.late]\nleast = \"1s\"\n\
    [route.eject]\nramp = \"10ms\"";

/// All that an ingest of these `all` is to publish, of which `streams` begin here: one on each node
/// that will fail, and the others on whichever of them.
///
/// Each of the nodes enters the catalog when those before it have a stream, and the next stream
/// begins there, since it promises more. Should one begin elsewhere all the same, it stays, and
/// the next one is tried.
pub(super) async fn place(
    rack: &Rack,
    ingest: &Ingest,
    all: &[String],
    streams: &[String],
) -> Load {
    let (mut load, mut left) = (Load::default(), streams.iter());
    let failing = rack.failing();
    for (i, site) in failing.iter().enumerate() {
        let offered = failing.get(..=i).unwrap();
        rack.offer(ingest, offered).await;
        loop {
            let stream = left.next();
            let stream = stream.unwrap_or_else(|| panic!("no stream begins on {}", site.id));
            let begun = Instant::now();
            load.join(Load::start(ingest, from_ref(stream), LENGTH).await);
            let first = first_home(offered, all, stream, begun).await;
            println!("{stream} begins on {}", first.id);
            if first.id == site.id {
                break;
            }
        }
    }
    load.join(Load::start(ingest, left.as_slice(), LENGTH).await);
    for site in failing {
        let what = format!("a stream that keeps to {}", site.id);
        wait_until(&what, LIMIT, || is_home(site)).await;
    }
    load
}

/// The node that the first segment of a stream went to.
async fn first_home<'a>(
    offered: &[&'a Site],
    all: &[String],
    stream: &str,
    since: Instant,
) -> &'a Site {
    wait_for(&format!("a segment of {stream}"), LIMIT, || async {
        let mut asked = offered.iter().flat_map(|site| {
            let asked = site.asked_since(since).into_iter();
            let of_it = asked.filter(|asked| load::stream_of(all, asked) == stream);
            of_it.map(|asked| (asked.at, *site)).collect::<Vec<_>>()
        });
        let first = asked.next()?;
        Some(asked.fold(first, |a, b| if b.0 < a.0 { b } else { a }).1)
    })
    .await
}
