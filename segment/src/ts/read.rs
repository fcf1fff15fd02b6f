//! The reader: a segment becomes access units and audio frames again.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::media::{AccessUnit, AudioConfig, AudioFrame, Codec};
use crate::time::Timestamp;

use super::adts::Frames;
use super::bounds::{Damage, Limits, count};
use super::packet::{Arrival, Continuity, Packet, Packets};
use super::psi::{self, PAT_PID, Program};
use super::stream::{Stream, Table};
use super::wrap::nearest;
use super::{LAST_SERVICE_PID, NULL_PID, TsError, WRAP};

/// What a segment is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demuxed {
    /// Access units in decoding order, without delimiters. Times are what the stream says: a
    /// bad stream may break the order that [`AccessUnit`] promises.
    pub video: Vec<AccessUnit>,
    /// What they are coded in, if there are any.
    pub codec: Codec,
    /// Audio frames in the order of the stream, without headers.
    pub audio: Vec<AudioFrame>,
    /// What the headers of the audio frames say.
    pub audio_config: Option<AudioConfig>,
    /// What could not be read.
    pub damage: Damage,
    /// What was passed over, though a player may not: packets of other streams, other programs and
    /// streams that the tables name, and tables that change.
    pub foreign: u32,
}

/// Takes a segment apart. Timestamps are unwrapped from 33 bits to the value nearest `near`,
/// DTS to the one nearest its PTS; should that lead below 0, the whole segment is taken one
/// wrap later, since a timeline never goes below 0.
///
/// Payloads are copied once, out of their packets, into one buffer that they share.
///
/// # Errors
/// No packets, no program, or more than `limits` allow. Damage is no error: see [`Damage`].
pub fn read(ts: &[u8], near: Timestamp, limits: &Limits) -> Result<Demuxed, TsError> {
    if ts.len() > limits.bytes {
        return Err(TsError::TooLarge {
            limit: limits.bytes,
            got: ts.len(),
        });
    }
    let mut demuxer = Demuxer::new(near, limits);
    let mut packets = Packets::new(ts);
    let mut any = false;
    while let Some(bytes) = packets.next() {
        any = true;
        match Packet::parse(bytes) {
            Some(packet) => demuxer.packet(&packet, packets.left())?,
            None => count(&mut demuxer.out.damage.packets),
        }
    }
    demuxer.out.damage.lost_sync = packets.lost_sync();
    match (any, demuxer.program) {
        (false, _) => Err(TsError::NoSync),
        (true, None) => Err(TsError::NoProgram),
        (true, Some(_)) => demuxer.finish(),
    }
}

struct Demuxer<'a> {
    near: Timestamp,
    limits: &'a Limits,
    pat: Table<'a>,
    pmt: Table<'a>,
    pmt_pid: Option<u16>,
    program: Option<Program>,
    video: Stream<'a>,
    audio: Stream<'a>,
    frames: Frames,
    out: Demuxed,
}

impl<'a> Demuxer<'a> {
    fn new(near: Timestamp, limits: &'a Limits) -> Self {
        Self {
            near,
            limits,
            pat: Table::default(),
            pmt: Table::default(),
            pmt_pid: None,
            program: None,
            video: Stream::default(),
            audio: Stream::default(),
            frames: Frames::default(),
            out: Demuxed::default(),
        }
    }

    /// `left` bounds how many bytes can still follow.
    fn packet(&mut self, packet: &Packet<'a>, left: usize) -> Result<(), TsError> {
        let program = self.program.unwrap_or_default();
        let pid = Some(packet.pid);
        if packet.pid == NULL_PID {
            Ok(())
        } else if packet.pid == PAT_PID {
            let (mut pmt_pid, mut others) = (self.pmt_pid, 0u32);
            let found = |section: &[u8]| {
                if let Some((pid, more)) = psi::pat(section) {
                    (pmt_pid, others) = (Some(pid), others.saturating_add(more));
                }
            };
            self.pat.packet(packet, &mut self.out.damage, found);
            self.out.foreign = self.out.foreign.saturating_add(others);
            if pmt_pid != self.pmt_pid {
                self.changes(self.pmt_pid.is_some());
                (self.pmt_pid, self.pmt) = (pmt_pid, Table::default());
            }
            Ok(())
        } else if pid == self.pmt_pid {
            let mut now = self.program;
            let found = |section: &[u8]| now = psi::pmt(section).or(now);
            self.pmt.packet(packet, &mut self.out.damage, found);
            self.change_program(now)
        } else if pid == program.video {
            self.video_packet(packet, left)
        } else if pid == program.audio {
            self.audio_packet(packet)
        } else {
            // Who muxes for broadcast names the service in every segment: ffmpeg does.
            if packet.pid > LAST_SERVICE_PID {
                count(&mut self.out.foreign);
            }
            Ok(())
        }
    }

    /// Tables say something else than before, if they said anything.
    fn changes(&mut self, something: bool) {
        if something {
            count(&mut self.out.foreign);
        }
    }

    fn change_program(&mut self, now: Option<Program>) -> Result<(), TsError> {
        if now == self.program {
            return Ok(());
        }
        let (old, new) = (self.program.unwrap_or_default(), now.unwrap_or_default());
        self.changes(self.program.is_some());
        self.out.foreign = self.out.foreign.saturating_add(new.others);
        if (old.video, old.codec) != (new.video, new.codec) {
            self.end_video()?;
            self.video.continuity = Continuity::default();
        }
        if old.audio != new.audio {
            self.end_audio()?;
            self.audio.continuity = Continuity::default();
        }
        self.program = now;
        if self.out.video.is_empty() {
            self.out.codec = new.codec;
        }
        Ok(())
    }

    fn video_packet(&mut self, packet: &Packet<'a>, left: usize) -> Result<(), TsError> {
        match self.video.continuity.check(packet) {
            Arrival::Duplicate => return Ok(()),
            Arrival::Gap => {
                count(&mut self.out.damage.gaps);
                self.video.give_up_partial();
                self.end_video()?;
            }
            Arrival::Next => {}
        }
        if packet.unit_start {
            self.end_video()?;
            // Once for the segment: what follows fits.
            self.video
                .buffer
                .reserve(left.saturating_add(packet.payload.len()));
            self.video
                .begin(packet.payload, &mut self.out.damage, self.limits)
        } else {
            self.video.extend(packet.payload, self.limits)
        }
    }

    fn audio_packet(&mut self, packet: &Packet<'a>) -> Result<(), TsError> {
        match self.audio.continuity.check(packet) {
            Arrival::Duplicate => return Ok(()),
            Arrival::Gap => {
                count(&mut self.out.damage.gaps);
                self.audio.give_up_partial();
                self.end_audio()?;
                self.audio.buffer.clear();
                self.frames.interrupt();
            }
            Arrival::Next => {}
        }
        if packet.unit_start {
            self.end_audio()?;
            self.audio
                .begin(packet.payload, &mut self.out.damage, self.limits)
        } else {
            self.audio.extend(packet.payload, self.limits)
        }
    }

    fn end_video(&mut self) -> Result<(), TsError> {
        let Some(unit) = self.video.unit.take() else {
            return Ok(());
        };
        let data = self.video.buffer.split().freeze();
        let codec = self.program.unwrap_or_default().codec;
        let data = data.slice_ref(codec.strip_delimiter(&data));
        // Pictures in two codecs are no segment.
        let fits = codec == self.out.codec && unit.is_whole() && !data.is_empty();
        let Some(pts) = unit.pts.filter(|_| fits) else {
            count(&mut self.out.damage.units);
            return Ok(());
        };
        if self.out.video.len() >= self.limits.units {
            return Err(TsError::TooMany(self.limits.units));
        }
        let pts = nearest(pts, self.near);
        let dts = unit.dts.map_or(pts, |dts| nearest(dts, pts));
        self.out.video.push(AccessUnit {
            pts,
            dts,
            idr: codec.is_idr(&data),
            data,
        });
        Ok(())
    }

    fn end_audio(&mut self) -> Result<(), TsError> {
        let Some(unit) = self.audio.unit.take() else {
            return Ok(());
        };
        if !unit.is_whole() {
            count(&mut self.out.damage.units);
            self.audio.buffer.clear();
            self.frames.interrupt();
            return Ok(());
        }
        let pts = unit.pts.map(|pts| nearest(pts, self.near));
        let carried = self.audio.buffer.len().saturating_sub(unit.len);
        let lost = self
            .frames
            .take(&mut self.audio.buffer, carried, pts, |frame| {
                // One above the limit shows that it was reached.
                if self.out.audio.len() <= self.limits.units {
                    self.out.audio.push(frame);
                }
            });
        self.out.damage.units = self.out.damage.units.saturating_add(lost);
        if self.out.audio.len() > self.limits.units {
            return Err(TsError::TooMany(self.limits.units));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Demuxed, TsError> {
        self.end_video()?;
        self.end_audio()?;
        if !self.audio.buffer.is_empty() {
            count(&mut self.out.damage.units);
        }
        let mut out = self.out;
        out.audio_config = self.frames.into_config();
        let times = out.video.iter().map(|au| au.dts.min(au.pts));
        if times
            .chain(out.audio.iter().map(|f| f.pts))
            .any(|t| t.0 < 0)
        {
            for au in &mut out.video {
                au.pts.0 = au.pts.0.saturating_add(WRAP);
                au.dts.0 = au.dts.0.saturating_add(WRAP);
            }
            for frame in &mut out.audio {
                frame.pts.0 = frame.pts.0.saturating_add(WRAP);
            }
        }
        Ok(out)
    }
}
