//! AMF0, as much of it as commands and metadata use.
//!
//! The reader is our own because what it reads comes from anyone: depth and number of values
//! are bounded, lengths are checked against the bytes that are there before anything is
//! allocated, and text that is not UTF-8 is replaced rather than refused, so that a bad stream
//! name is answered as a bad name.

use bytes::{BufMut, BytesMut};

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 16;
/// The most values in one message.
pub const MAX_VALUES: usize = 2048;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; also a date, in milliseconds.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// Text; also long text and XML.
    String(String),
    /// An object, a typed object or an associative array.
    Object(Vec<(String, Value)>),
    /// An array.
    Array(Vec<Value>),
    /// Null, undefined, unsupported, or a reference.
    Null,
}

/// Why bytes are not AMF0 that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// A length reaches beyond the message.
    #[error("AMF data is cut short")]
    Truncated,
    /// A type marker that AMF0 does not have, or AMF3.
    #[error("AMF type {0} is not read here")]
    Marker(u8),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("AMF data is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    #[error("more than {MAX_VALUES} AMF values in a message")]
    TooMany,
}

impl Value {
    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// A property of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Object(properties) => properties.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// All values of a message.
///
/// # Errors
/// [`AmfError`].
pub fn read(input: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader {
        rest: input,
        left: MAX_VALUES,
    };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(MAX_DEPTH)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many more values may follow.
    left: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], AmfError> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn short_text(&mut self) -> Result<String, AmfError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        Ok(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }

    fn long_text(&mut self) -> Result<String, AmfError> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?));
        let text = self.bytes(length.map_err(|_| AmfError::Truncated)?)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn number(&mut self) -> Result<f64, AmfError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        let depth = depth.checked_sub(1).ok_or(AmfError::TooDeep)?;
        self.left = self.left.checked_sub(1).ok_or(AmfError::TooMany)?;
        let [marker] = self.array()?;
        Ok(match marker {
            0x00 => Value::Number(self.number()?),
            0x01 => {
                let [byte] = self.array()?;
                Value::Boolean(byte != 0)
            }
            0x02 => Value::String(self.short_text()?),
            0x03 => self.object(depth)?,
            0x05 | 0x06 | 0x0d => Value::Null,
            0x07 => {
                let _: [u8; 2] = self.array()?;
                Value::Null
            }
            // The count of an associative array is a hint; its end is marked.
            0x08 => {
                let _: [u8; 4] = self.array()?;
                self.object(depth)?
            }
            0x0a => {
                let count = u32::from_be_bytes(self.array()?);
                let items = (0..count).map(|_| self.value(depth));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            0x0b => {
                let date = self.number()?;
                let _: [u8; 2] = self.array()?;
                Value::Number(date)
            }
            0x0c | 0x0f => Value::String(self.long_text()?),
            0x10 => {
                self.short_text()?;
                self.object(depth)?
            }
            other => return Err(AmfError::Marker(other)),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value, AmfError> {
        const END: u8 = 0x09;
        let mut properties = Vec::new();
        loop {
            // Some publishers leave the end of the last object out.
            if self.rest.is_empty() {
                break;
            }
            let key = self.short_text()?;
            if key.is_empty() && self.rest.first() == Some(&END) {
                let _: [u8; 1] = self.array()?;
                break;
            }
            properties.push((key, self.value(depth)?));
        }
        Ok(Value::Object(properties))
    }
}

/// Appends one value.
pub fn write(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(n) => {
            out.put_u8(0x00);
            out.put_f64(*n);
        }
        Value::Boolean(b) => {
            out.put_u8(0x01);
            out.put_u8(u8::from(*b));
        }
        Value::String(s) => {
            out.put_u8(0x02);
            write_text(s, out);
        }
        Value::Object(properties) => {
            out.put_u8(0x03);
            for (key, value) in properties {
                write_text(key, out);
                write(value, out);
            }
            out.put_slice(&[0, 0, 9]);
        }
        Value::Array(items) => {
            out.put_u8(0x0a);
            out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
            for item in items {
                write(item, out);
            }
        }
        Value::Null => out.put_u8(0x05),
    }
}

/// Text with its 16-bit length, cut at a character where it is longer.
fn write_text(text: &str, out: &mut BytesMut) {
    let end = text.floor_char_boundary(usize::from(u16::MAX));
    let text = text.get(..end).unwrap_or_default();
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}
