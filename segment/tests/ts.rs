//! The transport stream: what is written is read again, and what was damaged on the way never
//! comes out altered.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{PACKET, access_unit, audio_config, audio_frames, packets_of, sample};
use proptest::prelude::*;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use rackcast_segment::ts::{
    Counters, Damage, Demuxed, Layout, Limits, TsError, Writer, read, restamp,
};

const BOTH: Layout = Layout {
    video: true,
    audio: true,
};
const WRAP: i64 = 1 << 33;

fn parse(ts: &[u8]) -> Demuxed {
    read(ts, Timestamp(900_000), &Limits::default()).unwrap()
}

fn written(start: i64) -> Bytes {
    let (video, audio) = sample(start);
    Writer::new(BOTH).segment(&video, Some((&audio_config(), &audio)))
}

/// All that was read is something that was sent.
fn unaltered(read: &Demuxed) -> bool {
    let (video, audio) = sample(900_000);
    read.video.iter().all(|au| video.contains(au)) && read.audio.iter().all(|f| audio.contains(f))
}

proptest! {
    #[test]
    fn written_and_read_are_the_same(
        turn in 0i64..4,
        at in prop_oneof![900_000i64..2_000_000, WRAP - 400_000..WRAP],
        pictures in prop::collection::vec((1i64..9_000, 0i64..30_000, 0usize..3_000), 0..40),
        large in 0usize..200_000,
        sizes in prop::collection::vec(1usize..1_000, 0..60),
    ) {
        let start = turn * WRAP + at;
        let mut dts = start;
        let mut video: Vec<AccessUnit> = vec![access_unit(start + 5, start, true, large)];
        for (step, ahead, len) in pictures {
            dts += step;
            video.push(access_unit(dts + ahead, dts, false, len));
        }
        let audio = audio_frames(start, &sizes);
        let config = audio_config();
        let ts = Writer::new(BOTH).segment(&video, Some((&config, &audio)));
        prop_assert_eq!(ts.len() % PACKET, 0);

        let read = read(&ts, Timestamp(start + 1), &Limits::default()).unwrap();
        prop_assert_eq!(read.damage, Damage::default());
        prop_assert_eq!(&read.video, &video);
        prop_assert_eq!(&read.audio, &audio);
        prop_assert_eq!(read.audio_config, (!audio.is_empty()).then_some(config));
    }

    #[test]
    fn whatever_packet_is_lost_the_rest_is_unaltered(lost in prop::collection::vec(0usize..400, 1..6)) {
        let ts = written(900_000);
        let kept = ts.chunks(PACKET).enumerate().filter(|(i, _)| !lost.contains(i));
        let kept: Vec<u8> = kept.flat_map(|(_, p)| p).copied().collect();
        match read(&kept, Timestamp(900_000), &Limits::default()) {
            Ok(read) => prop_assert!(unaltered(&read)),
            Err(e) => prop_assert_eq!(e, TsError::NoProgram),
        }
    }

    #[test]
    fn bytes_between_packets_are_skipped(
        junk in prop::collection::vec(prop_oneof![Just(0x47u8), any::<u8>()], 1..400),
        at in 2usize..300,
    ) {
        let ts = written(900_000);
        let at = at.min(ts.len() / PACKET) * PACKET;
        let bytes = [&ts[..at], &junk, &ts[at..]].concat();
        let read = parse(&bytes);
        // Junk of a packet's length may be a packet of a stream that nobody knows, or none is to know.
        prop_assert!(read.damage.any() || read.foreign > 0 || junk.len() == PACKET);
        // A run of junk that looks like packets may cost the packets around it.
        prop_assert!(read.video.len() >= 45 && read.audio.len() >= 80);
    }
}

#[test]
fn packets_of_another_stream_are_counted_and_what_names_the_service_is_not() {
    let ts = written(900_000);
    for (pid, foreign) in [(0x11u8, 0), (0x1f, 0), (0x20, 1)] {
        let mut other = [0xff; PACKET];
        other[..4].copy_from_slice(&[0x47, 0x40, pid, 0x10]);
        let read = parse(&[&ts[..], &other].concat());
        assert_eq!(
            (read.damage.any(), read.foreign),
            (false, foreign),
            "{pid:#x}"
        );
    }
}

#[test]
fn a_doubled_packet_is_read_once() {
    let ts = written(900_000);
    let doubled: Vec<u8> = ts.chunks(PACKET).flat_map(|p| [p, p].concat()).collect();
    assert_eq!(parse(&doubled), parse(&ts));
}

#[test]
fn a_damaged_or_scrambled_packet_costs_its_unit_only() {
    for (byte, bits) in [(1, 0x80u8), (3, 0xc0)] {
        let mut ts = written(900_000).to_vec();
        let packet = packets_of(&ts, 0x100)[20] * PACKET;
        ts[packet + byte] |= bits;
        let read = parse(&ts);
        assert_eq!(
            (read.damage.packets, read.damage.gaps, read.damage.units),
            (1, 1, 1)
        );
        assert_eq!(read.video.len(), 49);
        assert!(unaltered(&read));
    }
}

#[test]
fn a_cut_leaves_whole_units() {
    let ts = written(900_000);
    for cut in (2 * PACKET..ts.len()).step_by(61) {
        let read = parse(&ts[..cut]);
        assert!(unaltered(&read), "cut at {cut}");
    }
}

#[test]
fn a_unit_without_length_ends_where_the_next_begins() {
    let mut ts = written(900_000).to_vec();
    for packet in ts.chunks_mut(PACKET) {
        let unit_start = packet[1] & 0x40 != 0;
        if unit_start && packet[1] & 0x1f == 1 {
            let payload = if packet[3] & 0x20 == 0 {
                4
            } else {
                5 + usize::from(packet[4])
            };
            packet[payload + 4..payload + 6].fill(0);
        }
    }
    let (video, audio) = sample(900_000);
    let read = parse(&ts);
    assert_eq!(
        (read.video, read.audio, read.damage),
        (video, audio, Damage::default())
    );
}

#[test]
fn clocks_that_jump_and_empty_packets_change_nothing() {
    let ts = written(900_000);
    let mut changed = Vec::new();
    for packet in ts.chunks(PACKET) {
        let mut packet = packet.to_vec();
        let clock = packet[3] & 0x20 != 0 && packet[4] > 6 && packet[5] & 0x10 != 0;
        if clock {
            packet[6..12].fill(0x5a);
        }
        changed.extend_from_slice(&packet);
        // An adaptation field alone, with the counter of the packet before; and stuffing.
        let mut empty = [0xffu8; PACKET];
        empty[..6].copy_from_slice(&[
            0x47,
            packet[1] & 0x1f,
            packet[2],
            0x20 | packet[3] & 0xf,
            183,
            0,
        ]);
        changed.extend_from_slice(&empty);
        empty[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
        changed.extend_from_slice(&empty);
    }
    assert_eq!(parse(&changed), parse(&ts));
}

/// The checksum of a table, computed another way than the library does.
fn crc(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for bit in bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| (b >> i) & 1))
    {
        let carry = (register >> 31) ^ u32::from(bit);
        register <<= 1;
        register ^= carry * 0x04c1_1db7;
    }
    register
}

/// The same segment with its streams on other PIDs: 0x300 and 0x301.
fn on_other_pids(ts: &[u8]) -> Vec<u8> {
    let mut ts = ts.to_vec();
    for packet in ts.chunks_mut(PACKET) {
        match u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) {
            0x100 | 0x101 => packet[1] |= 2,
            0x1000 => {
                // The clock's PID and those of the two streams.
                for at in [13, 18, 23] {
                    packet[at] |= 2;
                }
                let checksum = crc(&packet[5..27]).to_be_bytes();
                packet[27..31].copy_from_slice(&checksum);
            }
            _ => {}
        }
    }
    ts
}

#[test]
fn tables_and_pids_may_change_in_mid_stream() {
    let mut counters = Counters::default();
    let mut first = written(900_000).to_vec();
    let mut second = on_other_pids(&written(1_080_000));
    restamp(&mut first, &mut counters).unwrap();
    restamp(&mut second, &mut counters).unwrap();
    let read = parse(&[first, second].concat());
    let [(mut video, mut audio), (more_video, more_audio)] = [sample(900_000), sample(1_080_000)];
    video.extend(more_video);
    audio.extend(more_audio);
    assert_eq!(read.damage, Damage::default());
    assert_eq!(read.video, video);
    assert_eq!(read.audio, audio);
}

#[test]
fn frames_of_sound_may_lie_across_units() {
    let (_, audio) = sample(900_000);
    let config = audio_config();
    let mut writer = Writer::new(Layout {
        video: false,
        audio: true,
    });
    let ts = writer.segment(&[], Some((&config, &audio[..4])));
    // Give the last 100 bytes of the first unit to a second one: cut in the third frame.
    let elementary: Vec<u8> = audio[..4]
        .iter()
        .flat_map(|f| {
            let header = rackcast_segment::aac::adts_header(&config, f.data.len()).unwrap();
            [&header[..], &f.data].concat()
        })
        .collect();
    let pes = |pts: i64, payload: &[u8]| {
        let t = pts as u64;
        let mut unit = vec![0, 0, 1, 0xc0, 0, 0, 0x80, 0x80, 5];
        unit.extend([
            0x21 | ((t >> 30) << 1) as u8,
            (t >> 22) as u8,
            (t >> 14) as u8 | 1,
        ]);
        unit.extend([(t >> 7) as u8, (t << 1) as u8 | 1]);
        unit.extend_from_slice(payload);
        unit
    };
    let cut = 2 * 307 + 50;
    let fourth = audio[3].pts.0;
    let mut bytes = ts[..2 * PACKET].to_vec();
    let mut counter = 0u8;
    for unit in [
        pes(audio[0].pts.0, &elementary[..cut]),
        pes(fourth, &elementary[cut..]),
    ] {
        for (i, chunk) in unit.chunks(180).enumerate() {
            let stuffing = 184 - chunk.len();
            let start = if i == 0 { 0x41 } else { 0x01 };
            bytes.extend_from_slice(&[0x47, start, 0x01, 0x30 | counter, stuffing as u8 - 1, 0]);
            bytes.extend(std::iter::repeat_n(0xff, stuffing - 2));
            bytes.extend_from_slice(chunk);
            counter = (counter + 1) & 0xf;
        }
    }
    let read = parse(&bytes);
    assert_eq!(read.audio, &audio[..4]);
    assert!(!read.damage.any());
}

#[test]
fn limits_and_other_bytes_are_errors() {
    let ts = written(900_000);
    let near = Timestamp(0);
    let with = |limits| read(&ts, near, &limits).unwrap_err();
    let bytes = Limits {
        bytes: 1_000,
        ..Limits::default()
    };
    assert_eq!(
        with(bytes),
        TsError::TooLarge {
            limit: 1_000,
            got: ts.len()
        }
    );
    let units = Limits {
        units: 10,
        ..Limits::default()
    };
    assert_eq!(with(units), TsError::TooMany(10));
    let unit = Limits {
        access_unit: 5_000,
        ..Limits::default()
    };
    assert_eq!(with(unit), TsError::AccessUnitTooLarge(5_000));

    let any = |bytes: &[u8]| read(bytes, near, &Limits::default()).unwrap_err();
    assert_eq!(any(b""), TsError::NoSync);
    assert_eq!(any(&[7; 4_000]), TsError::NoSync);
    assert_eq!(any(&ts[..PACKET]), TsError::NoProgram);
}

#[test]
fn a_picture_as_large_as_an_rtmp_message_is_read() {
    let video = [access_unit(900_000, 900_000, true, (16 << 20) - 1)];
    let ts = Writer::new(BOTH).segment(&video, None);
    assert_eq!(parse(&ts).video, video);
}

#[test]
fn a_timeline_never_goes_below_zero() {
    let video = [access_unit(5, -5, true, 10), access_unit(10, 0, false, 10)];
    let ts = Writer::new(BOTH).segment(&video, None);
    let read = read(&ts, Timestamp(0), &Limits::default()).unwrap();
    let times: Vec<_> = read
        .video
        .iter()
        .map(|au| (au.pts.0 - WRAP, au.dts.0 - WRAP))
        .collect();
    assert_eq!(times, [(5, -5), (10, 0)]);
}

#[test]
fn restamped_segments_follow_one_another() {
    let segments = [written(900_000), written(1_080_000), written(1_260_000)];
    let mut counters = Counters::default();
    let mut joined = Vec::new();
    for segment in &segments {
        let mut segment = segment.to_vec();
        restamp(&mut segment, &mut counters).unwrap();
        joined.extend_from_slice(&segment);
    }
    assert!(parse(&segments.concat()).damage.any(), "the seams show");
    let read = parse(&joined);
    assert_eq!(read.damage, Damage::default());
    assert_eq!(read.video.len(), 150);

    // Doubled packets stay doubled, lost ones stay lost.
    let doubled: Vec<u8> = segments[0]
        .chunks(PACKET)
        .flat_map(|p| [p, p].concat())
        .collect();
    let mut stamped = doubled.clone();
    restamp(&mut stamped, &mut counters).unwrap();
    assert_ne!(stamped, doubled);
    assert_eq!(parse(&stamped), parse(&doubled));
}

#[test]
fn what_is_no_segment_is_not_restamped() {
    let mut counters = Counters::default();
    let whole = written(900_000);
    let mut cut = whole[..whole.len() - 1].to_vec();
    assert_eq!(restamp(&mut cut, &mut counters), Err(TsError::NoSync));
    assert_eq!(cut, whole[..whole.len() - 1]);
    let mut many: Vec<u8> = (0..40u8)
        .flat_map(|pid| {
            let mut packet = [0u8; PACKET];
            packet[..4].copy_from_slice(&[0x47, 1, pid, 0x15]);
            packet
        })
        .collect();
    assert_eq!(
        restamp(&mut many, &mut counters),
        Err(TsError::TooManyPids(32))
    );
    assert_eq!(restamp(&mut [], &mut counters), Ok(()));
}
