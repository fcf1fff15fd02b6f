//! AMF0.

use bytes::BytesMut;
use rackcast_ingest::rtmp::amf::{AmfError, MAX_DEPTH, MAX_VALUES, Value, read, write};

use crate::support::{object, text};

#[test]
fn values_round_trip() {
    let value = object(&[
        ("number", Value::Number(-1.5)),
        ("true", Value::Boolean(true)),
        ("text", text("zwölf")),
        ("list", Value::Array(vec![Value::Null, object(&[])])),
    ]);
    let mut bytes = BytesMut::new();
    write(&value, &mut bytes);
    write(&text(""), &mut bytes);
    assert_eq!(read(&bytes), Ok(vec![value, text("")]));
}

#[test]
fn every_marker_of_amf0_is_read() {
    let ecma = [&[8, 0, 0, 0, 99, 0, 1][..], b"k", &[1, 1, 0, 0, 9]].concat();
    assert_eq!(
        read(&ecma),
        Ok(vec![object(&[("k", Value::Boolean(true))])])
    );
    let date = [&[11][..], &1.0f64.to_be_bytes(), &[0, 0]].concat();
    assert_eq!(read(&date), Ok(vec![Value::Number(1.0)]));
    let long = [&[12, 0, 0, 0, 2][..], b"ab"].concat();
    assert_eq!(read(&long), Ok(vec![text("ab")]));
    let typed = [&[16, 0, 1][..], b"T", &[0, 1], b"k", &[5, 0, 0, 9]].concat();
    assert_eq!(read(&typed), Ok(vec![object(&[("k", Value::Null)])]));
    assert_eq!(read(&[6, 13, 7, 0, 1]), Ok(vec![Value::Null; 3]));
    assert_eq!(read(&[17]), Err(AmfError::Marker(17)), "AMF3");
}

#[test]
fn false_lengths_are_errors_and_allocate_nothing() {
    for bytes in [
        &[2, 0xff, 0xff, b'x'][..],          // text
        &[12, 0xff, 0xff, 0xff, 0xff, b'x'], // long text
        &[10, 0xff, 0xff, 0xff, 0xff, 5, 5], // array
        &[3, 0, 9, b'k'],                    // property name
        &[0, 0, 0],                          // number
        &[3, 0, 1, b'k'],                    // property without value
    ] {
        assert_eq!(read(bytes), Err(AmfError::Truncated), "{bytes:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let arrays = |depth: usize| {
        let mut bytes: Vec<u8> = [10, 0, 0, 0, 1].repeat(depth);
        bytes.push(5);
        bytes
    };
    assert!(read(&arrays(MAX_DEPTH - 1)).is_ok());
    assert_eq!(read(&arrays(MAX_DEPTH)), Err(AmfError::TooDeep));
    assert_eq!(read(&arrays(100_000)), Err(AmfError::TooDeep));
    let objects = [3, 0, 1, b'k'].repeat(100_000);
    assert_eq!(read(&objects), Err(AmfError::TooDeep));
}

#[test]
fn the_number_of_values_is_bounded() {
    assert!(read(&vec![5; MAX_VALUES]).is_ok());
    assert_eq!(read(&vec![5; MAX_VALUES + 1]), Err(AmfError::TooMany));
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    assert_eq!(read(&[2, 0, 2, 0xff, b'a']), Ok(vec![text("\u{fffd}a")]));
}
