//! Processor seconds: the node, all of its processes and its HTTP included, against ffmpeg.

use rackcast_tests::rack::Node;

use crate::clip::{Clip, LADDER};
use crate::figures::Figures;
use crate::peer::Way;
use crate::{ASKING, MEASURED, processor};

/// A node with one worker, on the processor that is measured.
pub(crate) async fn node() -> Node {
    processor::pin(&[MEASURED]);
    let node = Node::start("[worker]\ncount = 1\nnice = 0\n").await;
    processor::pin(&[ASKING]);
    node
}

pub(crate) async fn compare(clips: &[Clip], rounds: usize) {
    println!(
        "\nprocessor seconds for 1080p to {LADDER}, {rounds} rounds\n{}\n",
        processor::machine()
    );
    let node = node().await;
    for clip in clips {
        // The first job builds the pipeline, once in a worker's life.
        ours(&node, clip).await;
        let mut ours_took = Figures::default();
        let mut peers: Vec<(Way, Figures)> = Way::ALL.map(|way| (way, Figures::default())).into();
        for _ in 0..rounds {
            ours_took.add(ours(&node, clip).await);
            for (way, took) in &mut peers {
                processor::pin(&[MEASURED]);
                took.add(way.run(clip, &clip.segments[0].job.spec.renditions, None));
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
        for (way, took) in &peers {
            line(way.name(), took);
        }
        println!();
    }
    println!("load at the end: {}", processor::machine());
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
