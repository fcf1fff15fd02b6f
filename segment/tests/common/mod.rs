//! Segments to test with.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use bytes::Bytes;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame};
use rackcast_segment::time::Timestamp;

pub const PACKET: usize = 188;

pub fn audio_config() -> AudioConfig {
    let asc = Bytes::from_static(&[0x11, 0x90]);
    AudioConfig {
        asc,
        object_type: 2,
        sample_rate: 48_000,
        channels: 2,
    }
}

/// An access unit of `len` bytes behind its NAL header.
pub fn access_unit(pts: i64, dts: i64, idr: bool, len: usize) -> AccessUnit {
    let mut data = vec![0, 0, 0, 1, if idr { 0x65 } else { 0x41 }];
    // A frame is told from another by its bytes.
    data.extend((0..len).map(|i| ((pts as usize + i * 7) % 251) as u8 | 4));
    AccessUnit {
        pts: Timestamp(pts),
        dts: Timestamp(dts),
        idr,
        data: Bytes::from(data),
    }
}

/// Frames that lie exactly where their sample counts put them, from `start`.
pub fn audio_frames(start: i64, sizes: &[usize]) -> Vec<AudioFrame> {
    let at = |i| Timestamp(start + audio_config().frames_duration(i).0);
    let frame = |(i, &len): (usize, &usize)| {
        let data = (0..len).map(|b| ((i + b) % 251) as u8).collect::<Vec<_>>();
        AudioFrame {
            pts: at(i),
            data: Bytes::from(data),
        }
    };
    sizes.iter().enumerate().map(frame).collect()
}

/// Two seconds of 25 pictures and sound, the pictures each below 64 KiB.
pub fn sample(start: i64) -> (Vec<AccessUnit>, Vec<AudioFrame>) {
    let video = (0..50i64).map(|i| {
        let at = start + i * 3_600;
        access_unit(
            at + 7_200,
            at,
            i == 0,
            if i == 0 { 9_000 } else { 200 + i as usize * 13 },
        )
    });
    (video.collect(), audio_frames(start, &[300; 94]))
}

/// The packets of one PID, as indices.
pub fn packets_of(ts: &[u8], pid: u16) -> Vec<usize> {
    let is = |p: &[u8]| u16::from_be_bytes([p[1] & 0x1f, p[2]]) == pid;
    ts.chunks(PACKET)
        .enumerate()
        .filter(|(_, p)| is(p))
        .map(|(i, _)| i)
        .collect()
}
