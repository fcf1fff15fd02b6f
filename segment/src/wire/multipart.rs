//! `multipart/mixed` (RFC 2046), written and read part by part.
//!
//! A node sends each rendition the moment it is finished, and the ingest publishes it the
//! moment it is whole, so the answer is written and read in pieces. Every part says its length
//! in its head: media is never searched for a delimiter, and a part that is too large is
//! refused before its first byte is kept.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::id::RenditionName;

use super::reply::Summary;
use super::{HEADER_CHUNK, HEADER_LAST, HEADER_RENDITION};

/// The delimiter that is written. Bodies carry their length, so media may contain it.
pub const BOUNDARY: &str = "rackcast-8e1f9b2c4d7a";
const LENGTH: &str = "content-length";
const TYPE: &str = "content-type";
const MEDIA: &str = "video/mp2t";
const JSON: &str = "application/json";
/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// The value of the answer's `content-type`.
pub fn content_type() -> String {
    format!("multipart/mixed; boundary={BOUNDARY}")
}

/// What stands above a rendition's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// Which rendition.
    pub rendition: RenditionName,
    /// The chunk's number within the rendition, from 0.
    pub chunk: u32,
    /// The rendition's last chunk.
    pub last: bool,
}

/// The bytes to send before a body of `len` bytes.
pub fn encode_rendition(head: &PartHead, len: usize) -> Bytes {
    let PartHead {
        rendition,
        chunk,
        last,
    } = head;
    Bytes::from(format!(
        "\r\n--{BOUNDARY}\r\n{TYPE}: {MEDIA}\r\n{LENGTH}: {len}\r\n\
         {HEADER_RENDITION}: {rendition}\r\n{HEADER_CHUNK}: {chunk}\r\n{HEADER_LAST}: {last}\r\n\r\n"
    ))
}

/// The last part and the end of the answer.
pub fn encode_summary(summary: &Summary) -> Bytes {
    // A struct with named fields always has a JSON form; without one the reader would refuse.
    let json = serde_json::to_string(summary).unwrap_or_default();
    let len = json.len();
    Bytes::from(format!(
        "\r\n--{BOUNDARY}\r\n{TYPE}: {JSON}\r\n{LENGTH}: {len}\r\n\r\n{json}\r\n--{BOUNDARY}--\r\n"
    ))
}

/// What an answer may cost its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one part's body.
    pub max_part: usize,
    /// Parts, with the summary.
    pub max_parts: usize,
    /// Bytes of one part's head with its delimiter.
    pub max_head: usize,
}

impl Default for Limits {
    /// 32 MiB, 64 parts, 4 KiB.
    fn default() -> Self {
        Self {
            max_part: 32 << 20,
            max_parts: 64,
            max_head: 4096,
        }
    }
}

/// One part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A chunk of a rendition.
    Rendition {
        /// Which.
        head: PartHead,
        /// MPEG-TS.
        body: Bytes,
    },
    /// How the job went; always the last part.
    Summary(Summary),
}

/// Why an answer cannot be read. The node is at fault: the segment may be sent to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The answer's `content-type` is not `multipart/mixed` with a boundary.
    #[error("the content type {0:?} is not multipart/mixed with a boundary")]
    ContentType(String),
    /// A head is longer than [`Limits::max_head`].
    #[error("a part's head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// A body is longer than [`Limits::max_part`].
    #[error("a part of {got} bytes; at most {limit} are allowed")]
    PartTooLarge {
        /// The limit.
        limit: usize,
        /// What the head announces.
        got: u64,
    },
    /// More parts than [`Limits::max_parts`].
    #[error("more than {0} parts")]
    TooManyParts(usize),
    /// Something else stands where the delimiter should be.
    #[error("the delimiter between two parts is missing")]
    Delimiter,
    /// A header of a part is missing or not valid.
    #[error("the header {0} of a part is missing or not valid")]
    Header(&'static str),
    /// The summary is not JSON of [`Summary`].
    #[error("the summary is not valid: {0}")]
    Summary(String),
    /// The answer ended before its last part did.
    #[error("the answer ended before its summary")]
    Truncated,
}

impl MultipartError {
    /// Whether the answer was cut off, rather than wrong: the connection, not the node's
    /// answer, is at fault.
    pub fn is_truncated(&self) -> bool {
        *self == Self::Truncated
    }
}

/// Reads an answer as it arrives: [`push`](Self::push) what came, then take parts with
/// [`next`](Self::next) until it returns `None`, and [`finish`](Self::finish) at the end.
///
/// Memory is bounded by one part and what was pushed and not yet taken. After an error the
/// reader stays in it.
#[derive(Debug)]
pub struct Reader {
    delimiter: String,
    limits: Limits,
    input: VecDeque<Bytes>,
    state: State,
    parts: usize,
}

#[derive(Debug)]
enum State {
    /// Before a delimiter or within a head; what came of it.
    Head(BytesMut),
    /// Within a body; what came of it and how much is to come.
    Body {
        kind: Kind,
        body: BytesMut,
        left: usize,
    },
    /// Behind the last delimiter: the rest is ignored.
    End,
    Failed(MultipartError),
}

#[derive(Debug)]
enum Kind {
    Rendition(PartHead),
    Summary,
}

impl Reader {
    /// A reader of an answer with this `content-type`.
    ///
    /// # Errors
    /// [`MultipartError::ContentType`].
    pub fn new(content_type: &str, limits: Limits) -> Result<Self, MultipartError> {
        let boundary = boundary(content_type)
            .ok_or_else(|| MultipartError::ContentType(content_type.chars().take(100).collect()))?;
        Ok(Self {
            delimiter: format!("--{boundary}"),
            limits,
            input: VecDeque::new(),
            state: State::Head(BytesMut::new()),
            parts: 0,
        })
    }

    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !matches!(self.state, State::End | State::Failed(_)) {
            self.input.push_back(bytes);
        }
    }

    /// The next part that is whole; `None` until more arrives, and behind the last one.
    ///
    /// # Errors
    /// The answer is not what [`encode_rendition`] and [`encode_summary`] write, or exceeds
    /// the limits.
    #[expect(
        clippy::should_implement_trait,
        reason = "None means 'not yet', not 'the end'"
    )]
    pub fn next(&mut self) -> Result<Option<Part>, MultipartError> {
        let result = self.advance();
        if let Err(e) = &result {
            self.input.clear();
            self.state = State::Failed(e.clone());
        }
        result
    }

    /// The answer has ended.
    ///
    /// # Errors
    /// It was not whole, or failed before.
    pub fn finish(&mut self) -> Result<(), MultipartError> {
        match &self.state {
            State::End => Ok(()),
            State::Failed(e) => Err(e.clone()),
            State::Head(_) | State::Body { .. } => Err(MultipartError::Truncated),
        }
    }

    fn advance(&mut self) -> Result<Option<Part>, MultipartError> {
        loop {
            match &mut self.state {
                State::Failed(e) => return Err(e.clone()),
                State::End => return Ok(None),
                State::Head(head) => {
                    if !fill_head(head, &mut self.input, &self.delimiter, self.limits.max_head)? {
                        return Ok(None);
                    }
                    let head = std::mem::take(head);
                    self.state = self.read_head(&head)?;
                }
                State::Body { kind, body, left } => {
                    let Some(whole) = fill_body(body, left, &mut self.input) else {
                        return Ok(None);
                    };
                    let part = match kind {
                        Kind::Rendition(head) => Part::Rendition {
                            head: head.clone(),
                            body: whole,
                        },
                        Kind::Summary => Part::Summary(
                            serde_json::from_slice(&whole)
                                .map_err(|e| MultipartError::Summary(e.to_string()))?,
                        ),
                    };
                    self.state = State::Head(BytesMut::new());
                    return Ok(Some(part));
                }
            }
        }
    }

    /// What a whole head asks for.
    fn read_head(&mut self, head: &[u8]) -> Result<State, MultipartError> {
        let text = std::str::from_utf8(head).map_err(|_| MultipartError::Delimiter)?;
        let text = text.trim_start_matches("\r\n");
        let fields = text
            .strip_prefix(&self.delimiter)
            .ok_or(MultipartError::Delimiter)?;
        if fields.starts_with("--") {
            self.input.clear();
            return Ok(State::End);
        }
        let fields = fields
            .strip_prefix("\r\n")
            .ok_or(MultipartError::Delimiter)?;
        if self.parts >= self.limits.max_parts {
            return Err(MultipartError::TooManyParts(self.limits.max_parts));
        }
        self.parts = self.parts.saturating_add(1);

        let field = |name: &'static str| {
            fields
                .split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
                .ok_or(MultipartError::Header(name))
        };
        let got: u64 = field(LENGTH)?
            .parse()
            .map_err(|_| MultipartError::Header(LENGTH))?;
        let limit = self.limits.max_part;
        let left = usize::try_from(got).ok().filter(|&n| n <= limit);
        let left = left.ok_or(MultipartError::PartTooLarge { limit, got })?;
        let kind = match field(TYPE)? {
            JSON => Kind::Summary,
            MEDIA => Kind::Rendition(PartHead {
                rendition: field(HEADER_RENDITION)?
                    .parse()
                    .map_err(|_| MultipartError::Header(HEADER_RENDITION))?,
                chunk: field(HEADER_CHUNK)?
                    .parse()
                    .map_err(|_| MultipartError::Header(HEADER_CHUNK))?,
                last: field(HEADER_LAST)?
                    .parse()
                    .map_err(|_| MultipartError::Header(HEADER_LAST))?,
            }),
            _ => return Err(MultipartError::Header(TYPE)),
        };
        Ok(State::Body {
            kind,
            body: BytesMut::new(),
            left,
        })
    }
}

/// Moves bytes into `head` until it is whole: to the empty line, or to the end of the last
/// delimiter.
fn fill_head(
    head: &mut BytesMut,
    input: &mut VecDeque<Bytes>,
    delimiter: &str,
    limit: usize,
) -> Result<bool, MultipartError> {
    while let Some(chunk) = input.front_mut() {
        // A head is short and ends anywhere in a chunk: byte by byte is simple and enough.
        while chunk.has_remaining() {
            if head.len() >= limit {
                return Err(MultipartError::HeadTooLong(limit));
            }
            head.extend_from_slice(&[chunk.get_u8()]);
            let is_last = || {
                let line = head
                    .strip_suffix(b"--")
                    .and_then(|h| h.strip_suffix(delimiter.as_bytes()));
                line.is_some_and(|before| before.iter().all(|b| matches!(b, b'\r' | b'\n')))
            };
            if head.ends_with(b"\r\n\r\n") && head.len() > 4 || is_last() {
                return Ok(true);
            }
        }
        input.pop_front();
    }
    Ok(false)
}

/// Moves bytes into `body` until none is left; a body that came in one chunk is not copied.
fn fill_body(body: &mut BytesMut, left: &mut usize, input: &mut VecDeque<Bytes>) -> Option<Bytes> {
    while *left > 0 {
        let chunk = input.front_mut()?;
        if body.is_empty() && chunk.len() >= *left {
            let whole = chunk.split_to(*left);
            *left = 0;
            return Some(whole);
        }
        if body.is_empty() {
            body.reserve(*left);
        }
        let now = chunk.split_to(chunk.len().min(*left));
        *left = left.saturating_sub(now.len());
        body.extend_from_slice(&now);
        if chunk.is_empty() {
            input.pop_front();
        }
    }
    Some(std::mem::take(body).freeze())
}

/// The boundary of a `multipart/mixed` content type.
fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let value = parameters.split(';').find_map(|p| {
        let (key, value) = p.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    })?;
    let fits = (1..=MAX_BOUNDARY).contains(&value.len());
    (fits && value.bytes().all(|b| b.is_ascii_graphic())).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

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
}
