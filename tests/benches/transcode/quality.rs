//! What the pictures are worth: SSIM at the source's size, as a player would show them, against an
//! ffmpeg per segment that delivers as many bits.

use std::path::Path;
use std::process::Command;

use rackcast_segment::ladder::RenditionSpec;
use tempfile::TempDir;

use crate::clip::{Clip, RATE};
use crate::peer::{Peer, QUITE_EQUAL, Way};
use crate::{cost, processor, stream};

pub(crate) async fn compare(clips: &mut [Clip]) {
    let node = cost::node().await;
    println!("\nSSIM (dB, all planes) at 1080p, at equal delivered bitrate\n");
    println!(
        "| clip | rung | kb/s | the node | ffmpeg per segment | difference |\n|---|---|---|---|---|---|"
    );
    for clip in clips {
        let delivered = stream::settle(&node, clip).await;
        let rungs = &clip.segments[0].job.spec.renditions;
        let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        for (number, segment) in clip.segments.iter().enumerate() {
            let made = node.transcode(&segment.job, segment.body.clone()).await;
            for (name, media) in made.unwrap() {
                let rung = rungs.iter().position(|spec| spec.name == name).unwrap();
                std::fs::write(ours.path().join(format!("{rung}-{number}.ts")), media).unwrap();
            }
        }
        processor::pin(&[0, 1]);
        let ours = joined(ours.path(), clip, rungs);
        let peer = Peer::tuned(Way::PerSegment, clip, &delivered, None, QUITE_EQUAL);
        peer.run(clip, Some(theirs.path()));
        let theirs = joined(theirs.path(), clip, rungs);
        for (i, ((spec, ours), theirs)) in rungs.iter().zip(&ours).zip(&theirs).enumerate() {
            let (own, its) = (ssim(ours, &clip.file), ssim(theirs, &clip.file));
            println!(
                "| {} | {} | {:.0} / {:.0} | {own:.2} | {its:.2} | {:+.2} |",
                clip.name,
                spec.name,
                delivered[i] as f64 / clip.seconds() / 1000.0,
                peer.kbits(clip, i),
                own - its
            );
        }
    }
}

/// The segments of each rung in one file.
fn joined(folder: &Path, clip: &Clip, rungs: &[RenditionSpec]) -> Vec<std::path::PathBuf> {
    let one = |rung: usize| {
        let part = |number| std::fs::read(folder.join(format!("{rung}-{number}.ts"))).unwrap();
        let whole: Vec<u8> = (0..clip.segments.len()).flat_map(part).collect();
        let file = folder.join(format!("whole-{rung}.ts"));
        std::fs::write(&file, whole).unwrap();
        file
    };
    (0..rungs.len()).map(one).collect()
}

/// Of `made`, enlarged, against the source, picture by picture.
fn ssim(made: &Path, source: &Path) -> f64 {
    let count = format!("setpts=N/{RATE}/TB");
    // Chroma lies on the left, as H.264 says and players take it. swscale takes it for centred unless it is
    // told, in this enlargement as in the scaling of its own rungs, and there it would be two wrongs.
    let chroma = "in_h_chr_pos=0:in_v_chr_pos=128:out_h_chr_pos=0:out_v_chr_pos=128";
    let larger = format!("scale=1920:1080:flags=bicubic:{chroma}");
    let graph = format!("[0:v]{count},{larger}[a];[1:v]{count}[b];[a][b]ssim");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "info", "-nostdin", "-nostats", "-i"])
        .arg(made);
    ffmpeg
        .arg("-i")
        .arg(source)
        .args(["-lavfi", &graph, "-f", "null", "-"]);
    let output = ffmpeg.output().expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rev().find(|line| line.contains("All:"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    let (_, decibels) = line.rsplit_once('(').unwrap();
    decibels.trim_end_matches(')').parse().unwrap()
}
