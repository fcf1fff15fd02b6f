//! The writer: access units and audio frames become one segment.

use bytes::{BufMut, Bytes, BytesMut};

use crate::aac::{ADTS_HEADER, MAX_FRAME, adts_header};
use crate::h264::headers;
use crate::media::{AccessUnit, AudioConfig, AudioFrame, Codec};
use crate::time::{Ticks, Timestamp};

use super::pes::{self, Header};
use super::psi::{Program, pat_packet, pmt_packet};
use super::{PACKET, SYNC, WRAP};

/// The PID of the video that is written.
pub const VIDEO_PID: u16 = 0x100;
/// The PID of the audio that is written.
pub const AUDIO_PID: u16 = 0x101;
/// How far the clock runs behind the decoding time: the time that a unit has to arrive.
const CLOCK_LEAD: Ticks = Ticks::from_millis(100);
/// The most audio in one PES unit: one header for several frames, little delay.
const AUDIO_GROUP: Ticks = Ticks::from_millis(100);
/// How far a frame may lie from where the frames before it lead and still share their unit,
/// whose timestamp is the first frame's: more than the rounding of a protocol that counts
/// milliseconds, less than anyone hears.
const AUDIO_JITTER: i64 = 180;

/// Which streams the segments of a [`Writer`] have; the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// A stream of pictures, in H.264 unless the writer is told otherwise.
    pub video: bool,
    /// An AAC stream.
    pub audio: bool,
}

/// Writes segments that follow one another as one transport stream.
#[derive(Debug, Clone)]
pub struct Writer {
    program: Program,
    tables: u8,
    video: u8,
    audio: u8,
}

impl Writer {
    /// A writer whose counters begin at 0.
    pub fn new(layout: Layout) -> Self {
        let program = Program {
            video: layout.video.then_some(VIDEO_PID),
            codec: Codec::H264,
            audio: layout.audio.then_some(AUDIO_PID),
            others: 0,
        };
        Self {
            program,
            tables: 0,
            video: 0,
            audio: 0,
        }
    }

    /// The same for pictures in this codec.
    pub fn of(mut self, codec: Codec) -> Self {
        self.program.codec = codec;
        self
    }

    /// One whole segment: PAT, PMT, then units interleaved by decoding time. The clock (PCR)
    /// stands in the video, or in the audio when alone. Counters continue from the last call.
    ///
    /// Video must be in decoding order, audio in presentation order. What the layout has no
    /// stream for is left out, as is an audio frame that ADTS cannot carry
    /// ([`adts_header`]). Audio frames closely after one another share a unit and its
    /// timestamp, which moves none of them by more than 2 ms.
    pub fn segment(
        &mut self,
        video: &[AccessUnit],
        audio: Option<(&AudioConfig, &[AudioFrame])>,
    ) -> Bytes {
        let video = if self.program.video.is_some() {
            video
        } else {
            &[]
        };
        let audio = audio.filter(|_| self.program.audio.is_some());
        let groups: Vec<Group<'_>> = audio.map(|(c, f)| groups(c, f)).unwrap_or_default();

        let units = video
            .iter()
            .map(|au| unit_size(au.data.len() + self.program.codec.delimiter().len()));
        let size: usize = units.chain(groups.iter().map(|g| unit_size(g.len))).sum();
        let mut out = BytesMut::with_capacity(size + 2 * PACKET);

        out.put_slice(&pat_packet(self.tables));
        out.put_slice(&pmt_packet(self.tables, self.program));
        self.tables = (self.tables + 1) & 0xf;

        let mut groups = groups.into_iter().peekable();
        for au in video {
            while let Some(group) = groups.next_if(|g| g.pts < au.dts) {
                self.audio_unit(&mut out, &group);
            }
            self.video_unit(&mut out, au);
        }
        for group in groups {
            self.audio_unit(&mut out, &group);
        }
        out.freeze()
    }

    fn video_unit(&mut self, out: &mut BytesMut, au: &AccessUnit) {
        let codec = self.program.codec;
        let first = headers(&au.data).next();
        let delimited = first.is_some_and(|header| codec.is_delimiter(header));
        let delimiter = if delimited { &[] } else { codec.delimiter() };
        let len = delimiter.len() + au.data.len();
        let header = Header::new(pes::VIDEO, au.pts, au.dts, len);
        let mut packets = Packets {
            out,
            pid: VIDEO_PID,
            counter: &mut self.video,
            left: header.as_slice().len() + len,
            space: 0,
            first: Some(Adaptation {
                random_access: au.idr,
                clock: Some(au.dts - CLOCK_LEAD),
            }),
        };
        packets.put(header.as_slice());
        packets.put(delimiter);
        packets.put(&au.data);
    }

    fn audio_unit(&mut self, out: &mut BytesMut, group: &Group<'_>) {
        let header = Header::new(pes::AUDIO, group.pts, group.pts, group.len);
        let clock = self.program.video.is_none().then(|| group.pts - CLOCK_LEAD);
        let mut packets = Packets {
            out,
            pid: AUDIO_PID,
            counter: &mut self.audio,
            left: header.as_slice().len() + group.len,
            space: 0,
            first: Some(Adaptation {
                random_access: true,
                clock,
            }),
        };
        packets.put(header.as_slice());
        for (frame_header, frame) in &group.frames {
            packets.put(frame_header);
            packets.put(&frame.data);
        }
    }
}

/// Room for one unit: its packets, with headers and a clock.
fn unit_size(payload: usize) -> usize {
    (payload + 19 + 8).div_ceil(PACKET - 4) * PACKET
}

/// Audio frames that share one PES unit.
struct Group<'a> {
    pts: Timestamp,
    frames: Vec<([u8; ADTS_HEADER], &'a AudioFrame)>,
    len: usize,
}

fn groups<'a>(config: &AudioConfig, frames: &'a [AudioFrame]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for frame in frames {
        let Some(header) = adts_header(config, frame.data.len()) else {
            continue;
        };
        let len = header.len() + frame.data.len();
        let fits = groups.last_mut().filter(|g| {
            let leads_to = g.pts + config.frames_duration(g.frames.len());
            (frame.pts - leads_to).0.abs() <= AUDIO_JITTER
                && frame.pts - g.pts < AUDIO_GROUP
                && g.len + len <= MAX_FRAME * 7
        });
        match fits {
            Some(group) => {
                group.frames.push((header, frame));
                group.len += len;
            }
            None => groups.push(Group {
                pts: frame.pts,
                frames: vec![(header, frame)],
                len,
            }),
        }
    }
    groups
}

/// What the adaptation field of a unit's first packet says.
struct Adaptation {
    random_access: bool,
    clock: Option<Timestamp>,
}

/// Cuts one unit into packets. The size is known before the first byte, so that stuffing falls
/// into the last packet.
struct Packets<'a> {
    out: &'a mut BytesMut,
    pid: u16,
    counter: &'a mut u8,
    /// Bytes of the unit that no packet has room for yet.
    left: usize,
    /// Free bytes of the packet that was begun.
    space: usize,
    first: Option<Adaptation>,
}

impl Packets<'_> {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.space == 0 {
                self.begin();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.space));
            self.out.put_slice(now);
            self.space -= now.len();
            bytes = later;
        }
    }

    fn begin(&mut self) {
        let first = self.first.take();
        let unit_start = if first.is_some() { 0x40 } else { 0 };
        let [high, low] = self.pid.to_be_bytes();

        let mut field = [0xffu8; 8];
        let mut used = 0;
        if let Some(Adaptation {
            random_access,
            clock,
        }) = first
            && (random_access || clock.is_some())
        {
            field[1] =
                if random_access { 0x40 } else { 0 } | if clock.is_some() { 0x10 } else { 0 };
            used = 2;
            if let Some(clock) = clock {
                field[2..].copy_from_slice(&pcr(clock));
                used = 8;
            }
        }
        let stuffing = (PACKET - 4 - used).saturating_sub(self.left);
        let total = used + stuffing;
        let control = if total > 0 { 0x30 } else { 0x10 };
        self.out
            .put_slice(&[SYNC, unit_start | high, low, control | *self.counter]);
        *self.counter = (*self.counter + 1) & 0xf;
        if total > 0 {
            // A field of one byte is its length alone; a longer one has flags.
            field[0] = (total - 1) as u8;
            if used == 0 {
                field[1] = 0;
            }
            let fixed = total.min(used.max(2));
            self.out.put_slice(&field[..fixed]);
            self.out.put_bytes(0xff, total - fixed);
        }
        self.space = PACKET - 4 - total;
        self.left -= self.space;
    }
}

/// The clock reference as it stands in an adaptation field: 33 bits, no extension.
fn pcr(t: Timestamp) -> [u8; 6] {
    let [_, _, _, high, a, b, c, d] = t.0.rem_euclid(WRAP).to_be_bytes();
    [
        (high << 7) | (a >> 1),
        (a << 7) | (b >> 1),
        (b << 7) | (c >> 1),
        (c << 7) | (d >> 1),
        (d << 7) | 0x7e,
        0,
    ]
}
