//! What ffprobe and ffmpeg, which know nothing of our code, say of media.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A packet as ffprobe lists it, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// 90 kHz.
    pub pts: i64,
    /// 90 kHz.
    pub dts: i64,
    /// A decoder can begin here.
    pub key: bool,
    /// Offset of its first byte in the file.
    pub pos: u64,
}

/// What kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl Kind {
    fn selector(self) -> &'static str {
        match self {
            Self::Video => "v:0",
            Self::Audio => "a:0",
        }
    }
}

#[derive(Deserialize)]
struct Listing {
    packets: Vec<RawPacket>,
}

#[derive(Deserialize)]
struct RawPacket {
    pts: i64,
    dts: i64,
    flags: String,
    pos: Option<String>,
}

/// The packets of one stream of an MPEG-TS file.
///
/// # Panics
/// ffprobe cannot read it, or has a complaint.
pub fn packets(path: &Path, kind: Kind) -> Vec<Packet> {
    let entries = ["-show_entries", "packet=pts,dts,flags,pos", "-of", "json"];
    let output = ffprobe(path, kind, &entries);
    let listing: Listing = serde_json::from_str(&output).unwrap();
    let mut pos = 0;
    let packet = |p: RawPacket| {
        // Audio frames that share a unit stand at its beginning.
        pos = p.pos.map_or(pos, |at| at.parse().unwrap());
        Packet {
            pts: p.pts,
            dts: p.dts,
            key: p.flags.starts_with('K'),
            pos,
        }
    };
    listing.packets.into_iter().map(packet).collect()
}

/// Decodes everything; how many pictures or audio frames came out.
///
/// # Panics
/// A decoder has a complaint, however small.
pub fn decode(path: &Path, kind: Kind) -> usize {
    let count = [
        "-count_frames",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
    ];
    let text = ffprobe(path, kind, &count);
    // A transport stream lists its streams twice: in its program and by themselves.
    let number = text
        .lines()
        .next()
        .unwrap_or("")
        .trim_end_matches(',')
        .trim();
    number
        .parse()
        .unwrap_or_else(|_| panic!("no frames in {}: {text:?}", path.display()))
}

/// Width, height and codec of a file's video.
///
/// # Panics
/// ffprobe cannot read it.
pub fn size(path: &Path) -> (u32, u32, String) {
    let ask = [
        "-show_entries",
        "stream=codec_name,width,height",
        "-of",
        "csv=p=0",
    ];
    let text = ffprobe(path, Kind::Video, &ask);
    let mut fields = text.lines().next().unwrap().split(',');
    let codec = fields.next().unwrap().to_owned();
    let mut number = || fields.next().unwrap().parse().unwrap();
    (number(), number(), codec)
}

fn ffprobe(path: &Path, kind: Kind, arguments: &[&str]) -> String {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "warning",
            "-threads",
            "1",
            "-select_streams",
            kind.selector(),
        ])
        .args(arguments)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("ffprobe runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ffprobe {}: {complaints}",
        path.display()
    );
    assert!(
        complaints.trim().is_empty(),
        "ffprobe {}: {complaints}",
        path.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that a stream's timestamps run on without a seam: DTS grows by one picture at a
/// time, and the PTS are, in order, one picture apart.
///
/// # Panics
/// They do not.
pub fn assert_contiguous(packets: &[Packet], picture: i64) {
    for (i, pair) in packets.windows(2).enumerate() {
        let step = pair[1].dts - pair[0].dts;
        assert!(
            (step - picture).abs() <= 1,
            "DTS steps by {step} after packet {i}"
        );
    }
    let mut pts: Vec<i64> = packets.iter().map(|p| p.pts).collect();
    pts.sort_unstable();
    for (i, pair) in pts.windows(2).enumerate() {
        let step = pair[1] - pair[0];
        assert!(
            (step - picture).abs() <= 1,
            "PTS step by {step} after picture {i}"
        );
    }
    for p in packets {
        assert!(
            p.dts <= p.pts,
            "a picture is shown before it is decoded: {p:?}"
        );
    }
}
