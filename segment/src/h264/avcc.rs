//! The form with length prefixes, in which RTMP and MP4 carry H.264.

use bytes::{BufMut, BytesMut};

use crate::media::VideoConfig;

use super::{H264Error, NalType, ParameterSets, parse_sps};

/// What an `AVCDecoderConfigurationRecord` says.
#[derive(Debug, Clone, PartialEq)]
pub struct AvcConfig {
    /// Bytes of the length in front of every NAL unit: 1, 2 or 4.
    pub length_size: usize,
    /// The parameter sets of the record.
    pub sets: ParameterSets,
    /// The first SPS that can be read.
    pub video: VideoConfig,
}

/// Turns length prefixes into start codes; empty NAL units are dropped.
///
/// `limit` bounds the bytes of the result. The allocation follows the input's size, never a
/// length that stands in it.
///
/// # Errors
/// A prefix that leads beyond the input, a length size that is not 1, 2 or 4, a result above
/// `limit`.
pub fn avcc_to_annex_b(
    avcc: &[u8],
    length_size: usize,
    limit: usize,
) -> Result<BytesMut, H264Error> {
    if !matches!(length_size, 1 | 2 | 4) {
        return Err(H264Error::LengthSize(length_size));
    }
    // Four-byte prefixes, the rule, become start codes of the same size.
    let mut out = BytesMut::with_capacity(avcc.len().min(limit));
    let mut rest = avcc;
    while !rest.is_empty() {
        let nal = prefixed(&mut rest, length_size).ok_or(H264Error::Truncated("access unit"))?;
        if nal.is_empty() {
            continue;
        }
        if out.len().saturating_add(4).saturating_add(nal.len()) > limit {
            return Err(H264Error::TooLarge(limit));
        }
        out.put_slice(&[0, 0, 0, 1]);
        out.put_slice(nal);
    }
    Ok(out)
}

/// Takes one length-prefixed run of bytes off the front.
fn prefixed<'a>(rest: &mut &'a [u8], length_size: usize) -> Option<&'a [u8]> {
    let (prefix, tail) = rest.split_at_checked(length_size)?;
    let length = prefix
        .iter()
        .fold(0usize, |n, &b| (n << 8) | usize::from(b));
    let (run, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(run)
}

/// Reads the `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) that precedes the
/// first picture in RTMP.
///
/// # Errors
/// A record that is cut short, of an unknown version, without SPS or PPS, or none of whose SPS can
/// be read and is supported.
pub fn parse_avc_decoder_config(record: &[u8]) -> Result<AvcConfig, H264Error> {
    const CUT: H264Error = H264Error::Truncated("AVC configuration record");
    let [
        version,
        _profile,
        _constraints,
        _level,
        length,
        sps_count,
        rest @ ..,
    ] = record
    else {
        return Err(CUT);
    };
    if *version != 1 {
        return Err(H264Error::Version(*version));
    }
    let length_size = usize::from(length & 3).saturating_add(1);
    if length_size == 3 {
        return Err(H264Error::LengthSize(length_size));
    }
    let mut rest = rest;
    let mut sets = ParameterSets::default();
    parameter_sets(&mut rest, sps_count & 0x1f, NalType::Sps, &mut sets)?;
    let [pps_count, tail @ ..] = rest else {
        return Err(CUT);
    };
    rest = tail;
    parameter_sets(&mut rest, *pps_count, NalType::Pps, &mut sets)?;
    let mut video = Err(H264Error::Missing("sequence parameter set"));
    for sps in sets.all_sps() {
        let format = parse_sps(sps);
        video = video.or(format.map(|format| VideoConfig {
            sps: sps.clone(),
            format,
        }));
    }
    Ok(AvcConfig {
        length_size,
        video: video?,
        sets,
    })
}

/// Learns `count` parameter sets. One that cannot be used is passed over, unless there is no other.
fn parameter_sets(
    rest: &mut &[u8],
    count: u8,
    kind: NalType,
    sets: &mut ParameterSets,
) -> Result<(), H264Error> {
    let (name, expected) = match kind {
        NalType::Sps => ("sequence parameter set", 7),
        _ => ("picture parameter set", 8),
    };
    let mut learned = Err(H264Error::Missing(name));
    for _ in 0..count {
        let set = prefixed(rest, 2).ok_or(H264Error::Truncated(name))?;
        let header = set.first().copied();
        let got = header.map_or(0, |header| header & 0x1f);
        learned = match header.map(NalType::of) {
            None => learned,
            Some(of) if of != kind => learned.or(Err(H264Error::NalType { expected, got })),
            Some(_) => match (sets.learn(set), learned) {
                (Ok(()), _) | (_, Ok(())) => Ok(()),
                (Err(error), Err(_)) => Err(error),
            },
        };
    }
    learned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_become_start_codes() {
        let avcc = [0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x06];
        let out = avcc_to_annex_b(&avcc, 4, 100).unwrap();
        assert_eq!(&out[..], [0, 0, 0, 1, 0x65, 1, 0, 0, 0, 1, 0x06]);
        assert_eq!(
            &avcc_to_annex_b(&[1, 0x65], 1, 100).unwrap()[..],
            [0, 0, 0, 1, 0x65]
        );
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let cut = H264Error::Truncated("access unit");
        assert_eq!(
            avcc_to_annex_b(&[0xff, 0xff, 0xff, 0xff, 1], 4, 100),
            Err(cut.clone())
        );
        assert_eq!(avcc_to_annex_b(&[0, 0, 1], 4, 100), Err(cut));
        assert_eq!(
            avcc_to_annex_b(&[1, 2], 3, 100),
            Err(H264Error::LengthSize(3))
        );
        assert_eq!(
            avcc_to_annex_b(&[2, 1, 1], 1, 5),
            Err(H264Error::TooLarge(5))
        );
    }

    #[test]
    fn all_parameter_sets_of_a_record_are_known() {
        let sps = [
            0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0,
            0, 3, 0, 0x3c, 0x0f, 0x18, 0x31, 0x96,
        ];
        // An SPS that is none, and PPS 0 and 1.
        let record = [
            &[1, 100, 0, 31, 0xff, 0xe2, 0, 2, 0x67, 0x64, 0, 26][..],
            &sps,
            &[3, 0, 2, 0x68, 0xeb, 0, 0, 0, 2, 0x68, 0x5b],
        ];
        let config = parse_avc_decoder_config(&record.concat()).unwrap();
        assert_eq!(config.video.sps, &sps[..]);
        assert_eq!(config.sets.all_sps().count(), 1);
        assert_eq!(config.sets.all_pps().count(), 2);
    }

    #[test]
    fn records_without_parameter_sets_are_refused() {
        assert!(matches!(
            parse_avc_decoder_config(&[]),
            Err(H264Error::Truncated(_))
        ));
        let none = [1, 100, 0, 31, 0xff, 0xe0, 0];
        assert!(matches!(
            parse_avc_decoder_config(&none),
            Err(H264Error::Missing(_))
        ));
        let empty = [1, 100, 0, 31, 0xff, 0xe1, 0, 0, 1, 0, 0];
        assert!(matches!(
            parse_avc_decoder_config(&empty),
            Err(H264Error::Missing(_))
        ));
    }
}
