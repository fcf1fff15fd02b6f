//! What the pictures are worth: SSIM at the source's size, as a player would show them, against an
//! ffmpeg per segment that delivers as many bits.

use std::path::Path;
use std::process::Command;

use rackcast_segment::ladder::RenditionSpec;
use tempfile::TempDir;

use crate::clip::{Clip, RATE};
use crate::peer::Way;
use crate::{cost, processor};

pub(crate) async fn compare(clips: &[Clip]) {
    let node = cost::node().await;
    println!("\nSSIM (dB, all planes) at 1080p, at equal delivered bitrate\n");
    println!(
        "| clip | rung | kb/s | the node | ffmpeg per segment | difference |\n|---|---|---|---|---|---|"
    );
    for clip in clips {
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
        // As it delivers other than it is asked, it is asked for what makes it deliver the same.
        let mut asked = rungs.clone();
        for _ in 0..2 {
            Way::PerSegment.run(clip, &asked, Some(theirs.path()));
            for ((spec, file), delivered) in
                asked
                    .iter_mut()
                    .zip(&ours)
                    .zip(joined(theirs.path(), clip, rungs))
            {
                let ratio = size(file) / size(&delivered);
                spec.bitrate = (f64::from(spec.bitrate) * ratio) as u32;
            }
        }
        let theirs = joined(theirs.path(), clip, rungs);
        for ((spec, ours), theirs) in rungs.iter().zip(&ours).zip(&theirs) {
            let (node, peer) = (ssim(ours, &clip.file), ssim(theirs, &clip.file));
            let kbits = |file: &Path| size(file) * 8.0 / clip.seconds() / 1000.0;
            println!(
                "| {} | {} | {:.0} / {:.0} | {node:.2} | {peer:.2} | {:+.2} |",
                clip.name,
                spec.name,
                kbits(ours),
                kbits(theirs),
                node - peer
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

fn size(file: &Path) -> f64 {
    std::fs::metadata(file).unwrap().len() as f64
}

/// Of `made`, enlarged, against the source, picture by picture.
fn ssim(made: &Path, source: &Path) -> f64 {
    let count = format!("setpts=N/{RATE}/TB");
    let graph = format!("[0:v]{count},scale=1920:1080:flags=bicubic[a];[1:v]{count}[b];[a][b]ssim");
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
