//! The reading half.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::super::{HEADER_CHUNK, HEADER_LAST, HEADER_RENDITION};
use super::{JSON, LENGTH, Limits, MEDIA, MultipartError, Part, PartHead, TYPE};

/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

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
