//! The chunk layer.

use bytes::BytesMut;
use rackcast_ingest::rtmp::chunk::{ChunkError, Limits, Message, Reader, Writer, kind};

use crate::support::{chunks, message};

const LIMITS: Limits = Limits {
    chunk_size: 65536,
    message: 10_000,
    chunk_streams: 6,
    half_open: 4,
    half_open_bytes: 12_000,
};

fn read(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = Reader::new(LIMITS);
    reader.push(bytes);
    drain(&mut reader)
}

fn drain(reader: &mut Reader) -> Result<Vec<Message>, ChunkError> {
    let mut messages = Vec::new();
    while let Some(message) = reader.next()? {
        messages.push(message);
    }
    Ok(messages)
}

/// A chunk header of type 0.
fn begin(id: u8, timestamp: u32, length: u32, kind: u8) -> Vec<u8> {
    let mut header = vec![id];
    header.extend_from_slice(&timestamp.min(0xff_ffff).to_be_bytes()[1..]);
    header.extend_from_slice(&length.to_be_bytes()[1..]);
    header.push(kind);
    header.extend_from_slice(&1u32.to_le_bytes());
    if timestamp >= 0xff_ffff {
        header.extend_from_slice(&timestamp.to_be_bytes());
    }
    header
}

fn control(kind: u8, value: u32) -> Vec<u8> {
    [begin(2, 0, 4, kind), value.to_be_bytes().to_vec()].concat()
}

#[test]
fn what_is_written_is_read_whatever_the_cut() {
    let payload: Vec<u8> = (0..1000u16).map(|i| i as u8).collect();
    let sent = [
        message(kind::VIDEO, 1, 7, payload.clone()),
        message(kind::AUDIO, 1, 0x00ff_ffff, payload.clone()),
        message(kind::AUDIO, 1, 0xffff_ffff, Vec::new()),
        message(kind::COMMAND_AMF0, 0, 0, payload[..128].to_vec()),
    ];
    let mut bytes = BytesMut::new();
    let mut writer = Writer::default();
    for message in &sent {
        writer.message(5, message, &mut bytes);
        writer.set_chunk_size(200, &mut bytes);
    }
    for step in [1, 2, 3, 127, 5000] {
        let mut reader = Reader::new(LIMITS);
        let mut got = Vec::new();
        for piece in bytes.chunks(step) {
            reader.push(piece);
            got.extend(drain(&mut reader).unwrap());
        }
        assert_eq!(got, sent, "cut every {step} bytes");
    }
}

#[test]
fn interleaved_chunk_streams_come_out_whole() {
    let (video, audio) = (vec![1; 300], vec![2; 200]);
    let bytes = [
        &begin(6, 40, 300, kind::VIDEO)[..],
        &video[..128],
        &begin(7, 41, 200, kind::AUDIO),
        &audio[..128],
        &[0xc6],
        &video[..128],
        &[0xc7],
        &audio[..72],
        &[0xc6],
        &video[..44],
    ]
    .concat();
    let expected = [
        message(kind::AUDIO, 1, 41, audio),
        message(kind::VIDEO, 1, 40, video),
    ];
    assert_eq!(read(&bytes).unwrap(), expected);
}

#[test]
fn header_types_repeat_what_they_leave_out() {
    let bytes = [
        &begin(5, 1000, 1, kind::AUDIO)[..],
        b"a",
        &[0x45, 0, 0, 20, 0, 0, 2, kind::AUDIO], // type 1: a step of 20, another length
        b"bb",
        &[0x85, 0, 0, 30], // type 2: a step of 30
        b"cc",
        &[0xc5], // type 3: the same step again
        b"dd",
    ]
    .concat();
    let times: Vec<_> = read(&bytes).unwrap().iter().map(|m| m.timestamp).collect();
    assert_eq!(times, [1000, 1020, 1050, 1080]);
}

#[test]
fn long_chunk_stream_ids() {
    let tail = &begin(0, 5, 1, kind::AUDIO)[1..];
    let two = [&[0, 10][..], tail, b"x"].concat(); // 74
    let three = [&[1, 10, 1][..], tail, b"y"].concat(); // 330
    let again = [&[0xc0, 10][..], b"z"].concat();
    let all = [two, three, again].concat();
    let got: Vec<_> = read(&all).unwrap().into_iter().map(|m| m.payload).collect();
    assert_eq!(got, [&b"x"[..], b"y", b"z"]);
}

#[test]
fn a_chunk_without_predecessor_is_an_error() {
    for format in 1..=3u8 {
        let bytes = [(format << 6) | 5, 0, 0, 0, 0, 0, 1, 8, 0];
        assert_eq!(
            read(&bytes),
            Err(ChunkError::NoPredecessor { format, id: 5 })
        );
    }
}

#[test]
fn a_header_in_the_middle_of_a_message_is_an_error() {
    let bytes = [
        begin(5, 0, 200, kind::AUDIO),
        vec![0; 128],
        begin(5, 0, 1, kind::AUDIO),
    ];
    assert_eq!(
        read(&bytes.concat()),
        Err(ChunkError::HeaderInsideMessage(5))
    );
}

#[test]
fn chunk_sizes_of_zero_and_beyond_the_limit_are_errors() {
    for size in [0, 65537, 0x7fff_ffff, 0x8000_0080] {
        let set = control(kind::SET_CHUNK_SIZE, size);
        assert_eq!(read(&set), Err(ChunkError::ChunkSize(size)));
    }
    let reserved = control(kind::SET_CHUNK_SIZE, 0x8000_0080);
    let mut reader = Reader::new(all_sizes());
    reader.push(&reserved);
    assert_eq!(drain(&mut reader), Err(ChunkError::ChunkSize(0x8000_0080)));
    let one = [
        control(kind::SET_CHUNK_SIZE, 1),
        begin(5, 0, 3, kind::AUDIO),
        vec![b'a', 0xc5, b'b', 0xc5, b'c'],
    ];
    assert_eq!(read(&one.concat()).unwrap()[0].payload, &b"abc"[..]);
    let short = [begin(2, 0, 3, kind::SET_CHUNK_SIZE), vec![0; 3]].concat();
    assert_eq!(
        read(&short),
        Err(ChunkError::ShortControl(kind::SET_CHUNK_SIZE))
    );
}

/// What is configured unless an operator says less.
fn all_sizes() -> Limits {
    Limits {
        chunk_size: 0x00ff_ffff,
        ..LIMITS
    }
}

#[test]
fn every_legal_chunk_size_is_taken() {
    // 128 MiB is what some libraries send.
    for size in [0x00ff_ffff, 0x0100_0000, 0x0800_0000, 0x7fff_ffff] {
        let bytes = [
            control(kind::SET_CHUNK_SIZE, size),
            begin(5, 0, 9_000, kind::VIDEO),
            vec![1; 9_000],
        ];
        let mut reader = Reader::new(all_sizes());
        reader.push(&bytes.concat());
        assert_eq!(
            drain(&mut reader).unwrap()[0].payload.len(),
            9_000,
            "{size}"
        );
    }
}

#[test]
fn a_message_over_the_cap_is_an_error_before_its_body_comes() {
    let limit = ChunkError::MessageTooLong {
        length: 10_001,
        limit: 10_000,
    };
    assert_eq!(read(&begin(5, 0, 10_001, kind::VIDEO)), Err(limit));
}

#[test]
fn an_abort_drops_a_half_sent_message() {
    let bytes = [
        begin(5, 0, 200, kind::VIDEO),
        vec![1; 128],
        control(kind::ABORT, 5),
        control(kind::ABORT, 99), // nothing to abort
        begin(5, 9, 1, kind::VIDEO),
        vec![2],
    ];
    let expected = [message(kind::VIDEO, 1, 9, vec![2])];
    assert_eq!(read(&bytes.concat()).unwrap(), expected);
}

#[test]
fn aborted_messages_give_their_place_back() {
    let mut bytes = Vec::new();
    for _ in 0..50 {
        bytes.extend(begin(5, 0, 10_000, kind::VIDEO));
        bytes.extend(vec![1; 128]);
        bytes.extend(control(kind::ABORT, 5));
    }
    assert_eq!(read(&bytes), Ok(vec![]));
}

#[test]
fn half_open_messages_are_bounded_in_number_and_bytes() {
    let half = |id| [begin(id, 0, 200, kind::VIDEO), vec![0; 128]].concat();
    let many: Vec<u8> = (3..=7).flat_map(half).collect();
    assert_eq!(read(&many), Err(ChunkError::TooManyHalfOpen(4)));

    let large = [control(kind::SET_CHUNK_SIZE, 9_000)].into_iter();
    let large =
        large.chain((3..=4).map(|id| [begin(id, 0, 10_000, kind::VIDEO), vec![0; 9_000]].concat()));
    let large: Vec<u8> = large.flatten().collect();
    assert_eq!(read(&large), Err(ChunkError::TooManyHalfOpenBytes(12_000)));
}

#[test]
fn chunk_streams_are_bounded() {
    let bytes: Vec<u8> = (3..=9)
        .flat_map(|id| chunks(id, &message(8, 1, 0, vec![0])))
        .collect();
    assert_eq!(read(&bytes), Err(ChunkError::TooManyChunkStreams(6)));
}

#[test]
fn extended_timestamps_wrap_and_are_repeated() {
    let stamp = 0xffff_fff0u32;
    let bytes = [
        &begin(5, stamp, 200, kind::VIDEO)[..],
        &[1; 128],
        &[0xc5],
        &stamp.to_be_bytes(),
        &[1; 72],
        &[0x85, 0, 0, 0x20], // type 2: a step of 32 over the wrap
        &[1; 128],
        &[0xc5], // and no extended field any more
        &[1; 72],
        &[0x85, 0xff, 0xff, 0xff, 1, 0, 0, 0], // a step that does not fit into 24 bits
        &[1; 128],
        &[0xc5, 1, 0, 0, 0],
        &[1; 72],
    ]
    .concat();
    let got = read(&bytes).unwrap();
    let times: Vec<_> = got.iter().map(|m| m.timestamp).collect();
    assert_eq!(times, [stamp, 0x10, 0x0100_0010]);
    assert!(got.iter().all(|m| m.payload == vec![1; 200]));
}

#[test]
fn extended_timestamps_that_are_not_repeated_are_understood() {
    let bytes = [
        begin(5, 0x0100_0000, 200, kind::VIDEO),
        vec![7; 128],
        vec![0xc5],
        vec![7; 72],
    ];
    let got = read(&bytes.concat()).unwrap();
    assert_eq!(got, [message(kind::VIDEO, 1, 0x0100_0000, vec![7; 200])]);
}
