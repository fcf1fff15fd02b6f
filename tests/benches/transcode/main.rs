//! What a transcode node costs beside its peer, ffmpeg, and beside its own pipelines.
//!
//! ```sh
//! cargo bench --workspace --bench transcode -- cost --clip zoom --rounds 10
//! ```
//! Parts are `cost`, `quality` and `throughput`; all of them without a name. Candidates take turns, so
//! that whatever else the machine does disturbs all alike; what is measured runs on processor 0, what
//! asks for it on processor 1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clip;
mod cost;
mod figures;
mod peer;
mod processor;
mod quality;
mod stream;
mod throughput;

use clip::Clip;

/// What is measured runs here.
const MEASURED: usize = 0;
/// And who asks for it here.
const ASKING: usize = 1;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let (mut parts, mut clip, mut rounds) = (Vec::new(), None, 10);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--clip" => clip = arguments.next(),
            "--rounds" => rounds = arguments.next().unwrap().parse().unwrap(),
            "raw" => return throughput::raw(),
            part => parts.push(part.to_owned()),
        }
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    let mut clips = Clip::all(clip.as_deref());
    assert!(!clips.is_empty(), "there is no such clip");
    processor::pin(&[ASKING]);
    // In a thread of its own: connections must be answered for while a peer is waited for.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        if wanted("cost") {
            cost::compare(&mut clips, rounds).await;
        }
        if wanted("quality") {
            quality::compare(&mut clips).await;
        }
        if wanted("throughput") {
            throughput::compare(&mut clips[0], rounds).await;
        }
    });
}
