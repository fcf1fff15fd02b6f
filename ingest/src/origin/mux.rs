//! One MPEG-TS of the two that are stored: video and audio packets, interleaved.
//!
//! Packets are taken as they are, so that the counters, which run on from segment to segment
//! in each of the two, run on in the muxed one too; and the same two inputs always give the
//! same bytes.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::{BufMut, Bytes, BytesMut};
use rackcast_segment::ts::{AUDIO_PID, Layout, PACKET, VIDEO_PID, Writer};

use super::package_error::PackageError;

type Packet = [u8; PACKET];

/// Values of the 33-bit clock.
const WRAP: u64 = 1 << 33;

/// A PES unit: its decoding time and its packets.
struct Unit<'a> {
    time: u64,
    packets: Vec<&'a Packet>,
}

/// Interleaves a video segment and an audio segment by decoding time.
pub(super) fn mux(video: &[u8], audio: &[u8]) -> Result<Bytes, PackageError> {
    let tables = Writer::new(Layout {
        video: true,
        audio: true,
    })
    .segment(&[], None);
    let [pat, pmt] = packets(&tables)? else {
        return Err(PackageError::NotTs);
    };
    let mut out = BytesMut::with_capacity(video.len().saturating_add(audio.len()));
    let counter = packets(video)?.first().map_or(0, counter);
    put(&mut out, pat, pid(pat), counter);
    put(&mut out, pmt, pid(pmt), counter);

    let audio = units(packets(audio)?, 0xc0..=0xdf);
    let mut audio = audio.into_iter().peekable();
    for unit in units(packets(video)?, 0xe0..=0xef) {
        while let Some(sound) = audio.next_if(|sound| before(sound.time, unit.time)) {
            put_unit(&mut out, &sound, AUDIO_PID);
        }
        put_unit(&mut out, &unit, VIDEO_PID);
    }
    for sound in audio {
        put_unit(&mut out, &sound, AUDIO_PID);
    }
    Ok(out.freeze())
}

fn packets(ts: &[u8]) -> Result<&[Packet], PackageError> {
    match ts.as_chunks::<PACKET>() {
        (packets, []) if packets.iter().all(|p| p.first() == Some(&0x47)) => Ok(packets),
        _ => Err(PackageError::NotTs),
    }
}

/// The units of the first stream whose id lies in `ids`.
fn units(packets: &[Packet], ids: std::ops::RangeInclusive<u8>) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut stream = None;
    for packet in packets {
        if stream.is_some_and(|stream| stream != pid(packet)) {
            continue;
        }
        if let Some((id, time)) = begins(packet) {
            if !ids.contains(&id) {
                continue;
            }
            stream = Some(pid(packet));
            let packets = Vec::new();
            units.push(Unit { time, packets });
        }
        if let Some(unit) = units.last_mut() {
            unit.packets.push(packet);
        }
    }
    units
}

/// Stream id and decoding time of the PES unit that begins in a packet.
fn begins(packet: &Packet) -> Option<(u8, u64)> {
    let &[_, flags, _, control, ref rest @ ..] = packet;
    if flags & 0x40 == 0 || control & 0x10 == 0 {
        return None;
    }
    let payload = match rest.split_first() {
        Some((len, rest)) if control & 0x20 != 0 => rest.get(usize::from(*len)..)?,
        _ => rest,
    };
    let &[0, 0, 1, id, _, _, _, flags, _, ref fields @ ..] = payload else {
        return None;
    };
    let time = match flags >> 6 {
        2 => fields.get(..5)?,
        3 => fields.get(5..10)?,
        _ => return None,
    };
    let &[a, b, c, d, e] = time else { return None };
    let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
    let time = ((a & 0xe) << 29) | (b << 22) | ((c & 0xfe) << 14) | (d << 7) | (e >> 1);
    Some((id, time))
}

fn before(a: u64, b: u64) -> bool {
    a != b && b.wrapping_sub(a) & (WRAP - 1) < WRAP / 2
}

fn pid(packet: &Packet) -> u16 {
    let &[_, high, low, ..] = packet;
    u16::from_be_bytes([high & 0x1f, low])
}

fn counter(packet: &Packet) -> u8 {
    let &[_, _, _, control, ..] = packet;
    control & 0xf
}

fn put_unit(out: &mut BytesMut, unit: &Unit<'_>, pid: u16) {
    for packet in &unit.packets {
        put(out, packet, pid, counter(packet));
    }
}

fn put(out: &mut BytesMut, packet: &Packet, pid: u16, counter: u8) {
    let &[sync, high, _, control, ref rest @ ..] = packet;
    let [pid_high, pid_low] = pid.to_be_bytes();
    let high = (high & 0xe0) | pid_high;
    out.put_slice(&[sync, high, pid_low, (control & 0xf0) | counter]);
    out.put_slice(rest);
}
