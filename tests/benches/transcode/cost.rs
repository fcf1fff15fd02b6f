//! Processor seconds: the node, all of its processes and its HTTP included, against ffmpeg.

use rackcast_tests::rack::Node;

use crate::clip::{Clip, LADDER};
use crate::figures::Figures;
use crate::peer::{EQUAL, Peer, Way};
use crate::{ASKING, MEASURED, processor, stream};

/// A node with one worker, on the processor that is measured.
pub(crate) async fn node() -> Node {
    processor::pin(&[MEASURED]);
    let node = Node::start("[worker]\ncount = 1\nnice = 0\n").await;
    processor::pin(&[ASKING]);
    node
}

pub(crate) async fn compare(clips: &mut [Clip], rounds: usize) {
    println!(
        "\nprocessor seconds for 1080p to {LADDER}, {rounds} rounds\n{}\n",
        processor::machine()
    );
    let node = node().await;
    for clip in clips {
        // The first job builds the pipeline, once in a worker's life.
        let delivered = stream::settle(&node, clip).await;
        let mut ours_took = Figures::default();
        let mut peers: Vec<(Peer, Figures)> = Vec::new();
        for way in Way::ALL {
            let like = peers.first().map(|(peer, _)| peer);
            let peer = Peer::tuned(way, clip, &delivered, like, EQUAL);
            peers.push((peer, Figures::default()));
        }
        kbits(clip, &delivered, &peers);
        for _ in 0..rounds {
            ours_took.add(ours(&node, clip).await);
            for (peer, took) in &mut peers {
                processor::pin(&[MEASURED]);
                took.add(peer.run(clip, None));
                processor::pin(&[ASKING]);
            }
        }
        println!(
            "| {} ({} s) | least | median | the node over it |\n|---|---|---|---|",
            clip.name,
            clip.seconds()
        );
        let line = |name: &str, took: &Figures| {
            let over = ours_took.over(took);
            println!(
                "| {name} | {:.2} | {:.2} | {over:.3} |",
                took.least(),
                took.median()
            );
        };
        line("the node, over HTTP", &ours_took);
        for (peer, took) in &peers {
            line(peer.way.name(), took);
        }
        println!();
    }
    println!("load at the end: {}", processor::machine());
}

/// What each candidate delivers of each rung.
fn kbits(clip: &Clip, delivered: &[u64], peers: &[(Peer, Figures)]) {
    println!(
        "kb/s of {}: the node, and the peers in their order",
        clip.name
    );
    for (i, spec) in clip.segments[0].job.spec.renditions.iter().enumerate() {
        let ours = delivered[i] as f64 / clip.seconds() / 1000.0;
        let theirs = peers
            .iter()
            .map(|(peer, _)| format!("{:.0}", peer.kbits(clip, i)));
        let theirs: Vec<_> = theirs.collect();
        println!("{}: {ours:.0} / {}", spec.name, theirs.join(" / "));
    }
    for (peer, _) in peers {
        println!("{peer}");
    }
    println!();
}

/// What all processes of the node take for the clip's segments, one after another.
async fn ours(node: &Node, clip: &Clip) -> f64 {
    let before = processor::of(&node.pids());
    for segment in &clip.segments {
        let made = node.transcode(&segment.job, segment.body.clone()).await;
        assert_eq!(made.unwrap().len(), segment.job.spec.renditions.len());
    }
    processor::of(&node.pids()) - before
}
