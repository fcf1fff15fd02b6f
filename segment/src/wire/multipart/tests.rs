#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::BytesMut;

use super::*;
use crate::wire::load::Load;

fn summary() -> Summary {
    let load = Load {
        slots: 2,
        busy: 1,
        queued: 0,
        pixel_rate: 1e8,
        wait_ms: 0,
        draining: false,
    };
    Summary {
        renditions: vec!["720p".parse().unwrap(), "low".parse().unwrap()],
        failure: None,
        device: "cpu-0".to_owned(),
        queue_ms: 1,
        work_ms: 250,
        frames: 60,
        load,
    }
}

fn part(name: &str, body: &'static [u8]) -> Part {
    let head = PartHead {
        rendition: name.parse().unwrap(),
        chunk: 0,
        last: true,
    };
    Part::Rendition {
        head,
        body: Bytes::from_static(body),
    }
}

fn parts() -> [Part; 3] {
    // The second body looks like a delimiter, the third is empty.
    let delimiter = b"\r\n--rackcast-8e1f9b2c4d7a--\r\n\r\n";
    [
        part("720p", delimiter),
        part("low", b""),
        Part::Summary(summary()),
    ]
}

fn encoded() -> Bytes {
    let mut out = BytesMut::new();
    for part in parts() {
        match part {
            Part::Rendition { head, body } => {
                out.extend_from_slice(&encode_rendition(&head, body.len()));
                out.extend_from_slice(&body);
            }
            Part::Summary(summary) => out.extend_from_slice(&encode_summary(&summary)),
        }
    }
    out.freeze()
}

fn read(
    pieces: impl IntoIterator<Item = Bytes>,
    limits: Limits,
) -> Result<Vec<Part>, MultipartError> {
    let mut reader = Reader::new(&content_type(), limits)?;
    let mut parts = Vec::new();
    for piece in pieces {
        reader.push(piece);
        while let Some(part) = reader.next()? {
            parts.push(part);
        }
    }
    reader.finish().map(|()| parts)
}

#[test]
fn every_split_reads_the_same() {
    let bytes = encoded();
    for at in 0..=bytes.len() {
        let pieces = [bytes.slice(..at), bytes.slice(at..)];
        assert_eq!(
            read(pieces, Limits::default()).unwrap(),
            parts(),
            "split at {at}"
        );
    }
    let single = (0..bytes.len()).map(|i| bytes.slice(i..=i));
    assert_eq!(read(single, Limits::default()).unwrap(), parts());
}

#[test]
fn every_cut_is_seen() {
    let bytes = encoded();
    // Only the line end behind the last delimiter may be missing.
    for at in 0..bytes.len() - 2 {
        let error = read([bytes.slice(..at)], Limits::default()).unwrap_err();
        assert!(error.is_truncated(), "cut at {at}: {error}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits {
        max_part: 20,
        ..Limits::default()
    };
    assert_eq!(
        read([encoded()], limits),
        Err(MultipartError::PartTooLarge { limit: 20, got: 31 })
    );
    let limits = Limits {
        max_parts: 2,
        ..Limits::default()
    };
    assert_eq!(
        read([encoded()], limits),
        Err(MultipartError::TooManyParts(2))
    );
    let limits = Limits {
        max_head: 100,
        ..Limits::default()
    };
    assert_eq!(
        read([encoded()], limits),
        Err(MultipartError::HeadTooLong(100))
    );
}

#[test]
fn what_is_no_answer_is_refused() {
    for bad in [
        "",
        "multipart/mixed",
        "text/plain; boundary=x",
        "multipart/mixed; boundary=",
    ] {
        assert!(Reader::new(bad, Limits::default()).is_err(), "{bad:?}");
    }
    assert!(
        Reader::new(
            "Multipart/Mixed; charset=x; boundary=\"a b\"",
            Limits::default()
        )
        .is_err()
    );
    assert!(
        Reader::new(
            "Multipart/Mixed; charset=x; Boundary=\"ab\"",
            Limits::default()
        )
        .is_ok()
    );

    let refused = |text: &str| {
        let text = text.replace("$", &format!("--{BOUNDARY}"));
        read([Bytes::from(text)], Limits::default()).unwrap_err()
    };
    assert_eq!(
        refused("HTTP/1.1 200 OK\r\n\r\n"),
        MultipartError::Delimiter
    );
    assert_eq!(
        refused("$\r\ncontent-type: video/mp2t\r\n\r\n"),
        MultipartError::Header(LENGTH)
    );
    assert_eq!(
        refused("$\r\ncontent-length: -1\r\n\r\n"),
        MultipartError::Header(LENGTH)
    );
    assert_eq!(
        refused("$\r\ncontent-length: 1\r\n\r\n"),
        MultipartError::Header(TYPE)
    );
    assert_eq!(
        refused(
            "$\r\ncontent-length: 1\r\ncontent-type: video/mp2t\r\nrackcast-rendition: ../x\r\n\r\n"
        ),
        MultipartError::Header(HEADER_RENDITION)
    );
    let text = "$\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}";
    assert!(matches!(refused(text), MultipartError::Summary(_)));
}

#[test]
fn an_error_stays() {
    let mut reader = Reader::new(&content_type(), Limits::default()).unwrap();
    reader.push(Bytes::from_static(b"nonsense\r\n\r\n"));
    assert_eq!(reader.next(), Err(MultipartError::Delimiter));
    reader.push(encoded());
    assert_eq!(reader.next(), Err(MultipartError::Delimiter));
    assert_eq!(reader.finish(), Err(MultipartError::Delimiter));
}
