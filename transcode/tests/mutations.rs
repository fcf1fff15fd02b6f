//! A thousand damaged segments through a node: each is transcoded right or refused with a
//! reason that fits, and no worker dies of any.
//!
//! The same ones every time; `RACKCAST_MUTATION_SEED` tries others, and
//! `RACKCAST_MUTATIONS` more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{Node, Segment, answer, full, h264_bits::annex_b_of, job, make_in, ts_in, until};
use rackcast_segment::h264::nal_units;
use rackcast_segment::media::Codec;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_segment::wire::reply::RefusalCode::{TooLarge, Undecodable, Unsupported};
use tokio::task::JoinSet;

/// As many callers as keep two workers and their queues busy.
const CALLERS: usize = 4;
const PACKET: usize = 188;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_damaged_segments_kill_no_worker() {
    let seed = number("RACKCAST_MUTATION_SEED").unwrap_or(1);
    let count = number("RACKCAST_MUTATIONS").unwrap_or(1_000);
    let node = Arc::new(Node::start("[worker]\ncount = 2\n[encoder]\npreset = 'ultrafast'").await);
    node.until_load("both workers are up", |l| l.slots == 2)
        .await;
    let serving = node.workers();
    // One in five in HEVC.
    let source = Arc::new([Codec::H264, Codec::Hevc].map(source));
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (node, source, next) = (node.clone(), source.clone(), next.clone());
        callers.spawn(async move {
            let mut results = BTreeMap::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return results;
                }
                let mut random = Random::new(seed.wrapping_mul(1 << 32).wrapping_add(n));
                let source = &source[usize::from(n.is_multiple_of(5))];
                let (what, damaged) = mutate(source, &mut random);
                let result = submit(&node, &damaged, &format!("{what}, number {n}")).await;
                *results.entry((what, result)).or_insert(0u32) += 1;
            }
        });
    }
    let mut results: BTreeMap<_, u32> = BTreeMap::new();
    for (key, n) in callers.join_all().await.into_iter().flatten() {
        *results.entry(key).or_default() += n;
    }
    eprintln!("{results:#?}");
    assert_eq!(node.workers(), serving, "no worker has died");
    for result in ["transcoded", "undecodable"] {
        let some = results.keys().any(|(_, r)| *r == result);
        assert!(some, "some were {result}: the damage reaches the decoder");
    }
}

/// Ten pictures of 96x64 with B-frames.
fn source(codec: Codec) -> Segment {
    let options = match codec {
        Codec::H264 => ["-bf", "2", "-g", "100"],
        Codec::Hevc => [
            "-bf",
            "2",
            "-x265-params",
            "log-level=error:open-gop=0:keyint=100",
        ],
    };
    make_in(
        codec,
        &["testsrc2=size=96x64:rate=25:duration=0.4"],
        &options,
        "64p@100k",
    )
    .remove(0)
}

/// Sends it until the node has room; answers what became of it.
async fn submit(node: &Node, s: &Segment, what: &str) -> &'static str {
    let response = until("the node has room", || async {
        let response = node.send(node.post(&job(s), full(s.ts.clone()))).await;
        match answer(response).await {
            Err(refused) if refused.refusal.code.is_push_back() => None,
            other => Some(other),
        }
    })
    .await;
    match response {
        Ok(answer) => {
            if let Some(failure) = answer.summary.failure {
                panic!("{what}: {failure:?}");
            }
            for (spec, (_, media)) in s.job.renditions.iter().zip(&answer.renditions) {
                let expect = Expectation {
                    spec,
                    source: &s.job.source,
                    shape: &s.job.shape,
                };
                verify(media, &expect).expect(what);
            }
            "transcoded"
        }
        Err(refused) => {
            let code = refused.refusal.code;
            let expected = [Undecodable, Unsupported, TooLarge];
            assert!(expected.contains(&code), "{what}: {refused:?}");
            code.as_str()
        }
    }
}

type Change = fn(&mut Segment, &mut Random);

/// A damaged copy, and what was done to it.
fn mutate(source: &Segment, random: &mut Random) -> (&'static str, Segment) {
    let mut damaged = source.clone();
    let kinds: [(&'static str, Change); 8] = [
        ("bytes of the transport stream", stream_bytes),
        ("packets of the transport stream", packets),
        ("bytes of a picture", picture_bytes),
        ("bits of a header", header_bits),
        ("a short NAL unit", short_nal),
        ("a NAL unit lost or doubled", nals),
        ("pictures in another order", order),
        ("other times", times),
    ];
    let (what, change) = kinds[random.below(kinds.len())];
    change(&mut damaged, random);
    damaged.job.source.bytes = damaged.ts.len() as u64;
    (what, damaged)
}

fn stream_bytes(s: &mut Segment, random: &mut Random) {
    let mut ts = s.ts.to_vec();
    for _ in 0..=random.below(4) {
        let (at, bit) = (random.below(ts.len()), random.below(8));
        ts[at] ^= 1 << bit;
    }
    if random.below(4) == 0 {
        ts.truncate(1 + random.below(ts.len()));
    }
    s.ts = ts.into();
}

fn packets(s: &mut Segment, random: &mut Random) {
    let mut packets: Vec<_> = s.ts.chunks(PACKET).collect();
    let (a, b) = (random.below(packets.len()), random.below(packets.len()));
    match random.below(3) {
        0 => packets.swap(a, b),
        1 => packets.insert(a, packets[b]),
        _ => drop(packets.remove(a)),
    }
    s.ts = packets.concat().into();
}

fn picture_bytes(s: &mut Segment, random: &mut Random) {
    change_picture(s, random, |data, random| {
        for _ in 0..=random.below(8) {
            let at = random.below(data.len());
            // No start code begins or ends by it.
            data[at] = 2 + random.below(254) as u8;
        }
    });
}

/// The first bytes of a parameter set or a slice decide how all others are read.
fn header_bits(s: &mut Segment, random: &mut Random) {
    change_nals(s, random, |nals, random| {
        let nal = random.below(nals.len());
        let nal = &mut nals[nal];
        let (at, bit) = (random.below(nal.len().min(12)), random.below(8));
        nal[at] ^= 1 << bit;
    });
}

fn short_nal(s: &mut Segment, random: &mut Random) {
    change_nals(s, random, |nals, random| {
        let nal = random.below(nals.len());
        let length = 1 + random.below(nals[nal].len());
        nals[nal].truncate(length);
    });
}

fn nals(s: &mut Segment, random: &mut Random) {
    change_nals(s, random, |nals, random| {
        let nal = random.below(nals.len());
        if random.below(2) == 0 && nals.len() > 1 {
            nals.remove(nal);
        } else {
            nals.insert(random.below(nals.len()), nals[nal].clone());
        }
    });
}

fn order(s: &mut Segment, random: &mut Random) {
    let (a, b) = (random.below(s.units.len()), random.below(s.units.len()));
    let data = s.units[a].data.clone();
    s.units[a].data = s.units[b].data.clone();
    if random.below(2) == 0 {
        s.units[b].data = data;
    }
    s.ts = ts_in(s.job.source.format.codec, &s.units);
}

fn times(s: &mut Segment, random: &mut Random) {
    let (a, b) = (random.below(s.units.len()), random.below(s.units.len()));
    let pts = s.units[a].pts;
    s.units[a].pts = s.units[b].pts;
    if random.below(2) == 0 {
        s.units[b].pts = pts;
    }
    s.ts = ts_in(s.job.source.format.codec, &s.units);
}

fn change_picture(
    s: &mut Segment,
    random: &mut Random,
    change: impl Fn(&mut Vec<u8>, &mut Random),
) {
    let unit = random.below(s.units.len());
    let mut data = s.units[unit].data.to_vec();
    change(&mut data, random);
    s.units[unit].data = Bytes::from(data);
    s.ts = ts_in(s.job.source.format.codec, &s.units);
}

fn change_nals(
    s: &mut Segment,
    random: &mut Random,
    change: impl Fn(&mut Vec<Vec<u8>>, &mut Random),
) {
    // The first picture has the parameter sets: it gets its share and more.
    let unit = random.below(2 * s.units.len());
    let unit = if unit < s.units.len() { unit } else { 0 };
    let mut nals: Vec<_> = nal_units(&s.units[unit].data).map(<[u8]>::to_vec).collect();
    change(&mut nals, random);
    s.units[unit].data = annex_b_of(nals.iter().map(Vec::as_slice));
    s.ts = ts_in(s.job.source.format.codec, &s.units);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread first (splitmix64).
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }
}
