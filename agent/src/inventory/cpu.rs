//! Processors: `/proc/cpuinfo`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Root, field};

/// What an encoder looks for, as x86 and ARM call it.
const FEATURES: [&str; 9] = [
    "sse4_2", "avx", "avx2", "avx512f", "avx512bw", "aes", "asimd", "sve", "sve2",
];

/// The processors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Cpu {
    /// Product name; empty if the system does not tell one.
    pub model: String,
    /// Packages.
    pub sockets: usize,
    /// Cores.
    pub cores: usize,
    /// What runs at a time: hyper-threads count.
    pub threads: usize,
    /// Instruction sets that matter to an encoder.
    pub features: Vec<String>,
}

impl Cpu {
    pub(super) fn of(root: &Root) -> Self {
        root.text("proc/cpuinfo")
            .map_or_else(Self::default, |text| parse(&text))
    }
}

fn parse(text: &str) -> Cpu {
    let blocks: Vec<&str> = text
        .split("\n\n")
        .filter(|block| field(block, "processor", ':').is_some())
        .collect();
    let threads = blocks.len();
    let id = |block: &str, key| field(block, key, ':').and_then(|id| id.parse::<u32>().ok());
    let packages: BTreeSet<u32> = blocks.iter().filter_map(|b| id(b, "physical id")).collect();
    let cores: BTreeSet<(Option<u32>, u32)> = blocks
        .iter()
        .filter_map(|block| Some((id(block, "physical id"), id(block, "core id")?)))
        .collect();
    let first = blocks.first().copied().unwrap_or_default();
    let words = |key| field(first, key, ':').unwrap_or_default();
    let flags: BTreeSet<&str> = words("flags")
        .split_whitespace()
        .chain(words("Features").split_whitespace())
        .collect();
    let known = |feature: &&&str| flags.contains(**feature);
    Cpu {
        model: words("model name").to_owned(),
        sockets: packages.len().max(usize::from(threads > 0)),
        cores: if cores.is_empty() {
            threads
        } else {
            cores.len()
        },
        threads,
        features: FEATURES
            .iter()
            .filter(known)
            .map(|f| (*f).to_owned())
            .collect(),
    }
}
