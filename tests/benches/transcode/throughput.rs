//! Segments a second at full load, with two workers on two processors: of a node, with its HTTP, its
//! scheduler and its MPEG-TS, against as many processes that have pipelines and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rackcast_tests::process::children;
use rackcast_tests::rack::Node;
use rackcast_transcode::pipeline::{EncoderConfig, Engine, Pipelines};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clip::Clip;
use crate::figures::Figures;
use crate::{processor, stream};

const WORKERS: usize = 2;
/// Each worker has one job and another one waits for it.
const CALLERS: usize = 2 * WORKERS;
/// Segments of each worker in a round.
const SEGMENTS: usize = 6;

pub(crate) async fn compare(clip: &mut Clip, rounds: usize) {
    println!(
        "\nsegments a second of {} on two processors, {rounds} rounds\n{}\n",
        clip.name,
        processor::machine()
    );
    processor::pin(&[0, 1]);
    let node = Node::start(&format!("[worker]\ncount = {WORKERS}\nnice = 0\n")).await;
    let node = Arc::new(node);
    stream::settle(&node, clip).await;
    let clip = &*clip;
    through_node(&node, clip).await;
    let (mut ours, mut bare) = (Figures::default(), Figures::default());
    for _ in 0..rounds {
        bare.add(through_pipelines(clip));
        ours.add(through_node(&node, clip).await);
    }
    let rate = |seconds: f64| (WORKERS * SEGMENTS) as f64 / seconds;
    println!("| | best | median |\n|---|---|---|");
    for (name, took) in [("pipelines alone", &bare), ("the node", &ours)] {
        println!(
            "| {name} | {:.3} | {:.3} |",
            rate(took.least()),
            rate(took.median())
        );
    }
    println!(
        "\nthe node over pipelines, median of rounds: {:.3}",
        bare.over(&ours)
    );
    for pid in children(node.pid(), "worker") {
        let (most, now) = processor::memory(pid);
        println!("memory of a slot: {most:.0} MiB at most, {now:.0} MiB now");
    }
    let (most, now) = processor::memory(node.pid());
    println!("memory of the supervisor: {most:.0} MiB at most, {now:.0} MiB now");
}

/// Seconds until all segments are done, with callers enough that no worker waits.
async fn through_node(node: &Arc<Node>, clip: &Clip) -> f64 {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (node, mine) = (node.clone(), WORKERS * SEGMENTS / CALLERS);
        let segments: Vec<_> = clip
            .segments
            .iter()
            .cycle()
            .skip(caller)
            .take(mine)
            .collect();
        let jobs: Vec<_> = segments
            .iter()
            .map(|s| (s.job.clone(), s.body.clone()))
            .collect();
        callers.spawn(async move {
            for (job, body) in jobs {
                // A place is free again a moment after its last answer.
                while let Err(refused) = node.transcode(&job, body.clone()).await {
                    assert!(refused.starts_with("429"), "{refused}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    callers.join_all().await;
    begun.elapsed().as_secs_f64()
}

/// The same through pipelines in processes of their own.
fn through_pipelines(clip: &Clip) -> f64 {
    let mut workers: Vec<(Child, BufReader<_>)> = (0..WORKERS).map(|_| start(clip)).collect();
    let rates: Vec<_> = clip.segments.iter().map(|s| &s.job.spec.rates).collect();
    let rates = serde_json::to_string(&rates).unwrap();
    for (child, answers) in &mut workers {
        writeln!(child.stdin.as_mut().unwrap(), "{rates}").unwrap();
        line(answers);
    }
    let begun = Instant::now();
    for (child, _) in &mut workers {
        writeln!(child.stdin.as_mut().unwrap(), "go").unwrap();
    }
    for (_, answers) in &mut workers {
        line(answers);
    }
    let took = begun.elapsed().as_secs_f64();
    for (mut child, _) in workers {
        assert!(child.wait().unwrap().success());
    }
    took
}

fn start(clip: &Clip) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--clip", clip.name, "raw"]);
    command.env("GLIBC_TUNABLES", rackcast_transcode::worker::MALLOC);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    (child, answers)
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "a process of pipelines has ended");
    line
}

/// In such a process: one segment to warm up, then, when told, its share.
pub(crate) fn raw() {
    let name = std::env::args().skip_while(|a| a != "--clip").nth(1);
    let mut clip = Clip::all(name.as_deref()).swap_remove(0);
    // What the node's jobs are told.
    let rates: Vec<_> = serde_json::from_str(&line(&mut std::io::stdin().lock())).unwrap();
    for (segment, rates) in clip.segments.iter_mut().zip(rates) {
        segment.job.spec.rates = rates;
    }
    let mut pipelines = Pipelines::new(EncoderConfig::default(), 1).unwrap();
    let mut run = |segment: &crate::clip::Segment| {
        let (mut made, cancel) = (0, CancellationToken::new());
        let spec = &segment.job.spec;
        let result = pipelines.transcode(spec, &segment.units, &cancel, &mut |_| made += 1);
        result.unwrap();
        assert_eq!(made, spec.renditions.len());
    };
    run(&clip.segments[0]);
    println!("ready");
    line(&mut std::io::stdin().lock());
    for segment in clip.segments.iter().cycle().take(SEGMENTS) {
        run(segment);
    }
    println!("done");
}
