//! Is this the answer to that question?
//!
//! A node is believed for what it sent, not for what it says. Before a rendition is published,
//! the ingest reads it and compares it with what the job asked for: the same pictures at the
//! same times, in the size that was asked for, decodable from the first byte, and with the
//! decoding times that let any other node's segment follow it. A [`Defect`] is a failure of
//! the node; another one may well do better.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::h264::{H264Error, codec_string, has_picture, parameter_sets, parse_sps};
use crate::ladder::RenditionSpec;
use crate::media::{AccessUnit, VideoFormat};
use crate::shape::{Colour, Ratio, Shape, assign_dts, reorder_depth};
use crate::time::Timestamp;
use crate::ts::{self, Damage, TsError};
use crate::wire::job::Source;

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The rendition that was asked for.
    pub spec: &'a RenditionSpec,
    /// What it was to be made of.
    pub source: &'a Source,
    /// What every encoder must keep to.
    pub shape: &'a Shape,
}

/// A rendition that is fit to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Pictures.
    pub frames: u32,
    /// What its parameter sets say.
    pub format: VideoFormat,
}

/// What is wrong with an answer. In all of them the node is at fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Defect {
    /// More bytes than the bitrate can explain.
    #[error("{got} bytes, at most {limit} expected")]
    TooLarge {
        /// The most that was expected.
        limit: u64,
        /// Bytes that came.
        got: u64,
    },
    /// Not MPEG-TS with H.264.
    #[error("not readable: {0}")]
    Unreadable(#[from] TsError),
    /// MPEG-TS with something missing.
    #[error("damaged: {0:?}")]
    Damaged(Damage),
    /// Sound in a rendition of pictures.
    #[error("{0} audio frames where there should be none")]
    Audio(usize),
    /// Too few or too many pictures.
    #[error("{got} frames, {expected} expected")]
    Frames {
        /// The source's.
        expected: u32,
        /// The answer's.
        got: usize,
    },
    /// A unit without a picture.
    #[error("frame {0} holds no picture")]
    Empty(usize),
    /// The first picture is not IDR.
    #[error("the first frame is not an IDR picture")]
    NotIdr,
    /// The first picture has no SPS or no PPS in front.
    #[error("the first frame carries no {0}")]
    NoParameterSet(&'static str),
    /// The SPS cannot be read.
    #[error("the parameter sets are not valid: {0}")]
    ParameterSets(H264Error),
    /// Another size than asked for.
    #[error("a picture of {}x{}, {}x{} expected", got.0, got.1, expected.0, expected.1)]
    Size {
        /// Width and height asked for.
        expected: (u32, u32),
        /// Width and height that came.
        got: (u32, u32),
    },
    /// Coded as fields.
    #[error("interlaced")]
    Interlaced,
    /// Another profile, constraints or level than asked for, which is what playlists promise.
    #[error("{got}, {expected} expected")]
    Codec {
        /// Asked for.
        expected: String,
        /// What came.
        got: String,
    },
    /// Another colour description: players change colour in mid-stream.
    #[error("colour {got:?}, {expected:?} expected")]
    Colour {
        /// The shape's.
        expected: Colour,
        /// The answer's.
        got: Colour,
    },
    /// Pixels of another shape.
    #[error("sample aspect {got}, {expected} expected")]
    SampleAspect {
        /// The shape's.
        expected: Ratio,
        /// The answer's.
        got: Ratio,
    },
    /// The smallest presentation time is not the source's.
    #[error("the first frame is presented at {}, {} expected", got.0, expected.0)]
    FirstPts {
        /// The source's.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
    /// The largest presentation time is not the source's.
    #[error("the last frame is presented at {}, {} expected", got.0, expected.0)]
    LastPts {
        /// The source's.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
    /// Decoding order differs more from presentation order than the shape allows.
    #[error("reordered by {got} frames, at most {expected} expected")]
    Reorder {
        /// The shape's.
        expected: u8,
        /// The answer's.
        got: usize,
    },
    /// A decoding time that is not what [`assign_dts`] says.
    #[error("frame {frame} is decoded at {}, {} expected", got.0, expected.0)]
    Dts {
        /// The frame's number in decoding order, from 0.
        frame: usize,
        /// What the shape says.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
}

impl Defect {
    /// The kind of defect as a metric's label and in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Unreadable(_) => "unreadable",
            Self::Damaged(_) => "damaged",
            Self::Audio(_) => "audio",
            Self::Frames { .. } => "frames",
            Self::Empty(_) => "empty",
            Self::NotIdr => "not-idr",
            Self::NoParameterSet(_) => "no-parameter-set",
            Self::ParameterSets(_) => "parameter-sets",
            Self::Size { .. } => "size",
            Self::Interlaced => "interlaced",
            Self::Codec { .. } => "codec",
            Self::Colour { .. } => "colour",
            Self::SampleAspect { .. } => "sample-aspect",
            Self::FirstPts { .. } => "first-pts",
            Self::LastPts { .. } => "last-pts",
            Self::Reorder { .. } => "reorder",
            Self::Dts { .. } => "dts",
        }
    }
}

/// Reads a rendition and compares it with what was asked for.
///
/// # Errors
/// The first defect that was found.
pub fn verify(ts: &[u8], expect: &Expectation<'_>) -> Result<Verified, Defect> {
    let Expectation {
        spec,
        source,
        shape,
    } = expect;
    let limit = largest(spec, source);
    let got = u64::try_from(ts.len()).unwrap_or(u64::MAX);
    if got > limit {
        return Err(Defect::TooLarge { limit, got });
    }
    let demuxed = ts::read(ts, source.first_pts, &ts::Limits::default())?;
    if demuxed.damage.any() {
        return Err(Defect::Damaged(demuxed.damage));
    }
    if !demuxed.audio.is_empty() {
        return Err(Defect::Audio(demuxed.audio.len()));
    }
    let video = demuxed.video.as_slice();
    if u32::try_from(video.len()) != Ok(source.frames) {
        return Err(Defect::Frames {
            expected: source.frames,
            got: video.len(),
        });
    }
    if let Some(empty) = video.iter().position(|au| !has_picture(&au.data)) {
        return Err(Defect::Empty(empty));
    }
    let format = check_format(video, spec, shape)?;
    check_times(video, source, shape)?;
    Ok(Verified {
        frames: source.frames,
        format,
    })
}

/// Four times the mean bitrate, and a floor below which no segment is suspicious.
fn largest(spec: &RenditionSpec, source: &Source) -> u64 {
    const FLOOR: u64 = 1 << 20;
    let ticks = u64::try_from(source.duration.0).unwrap_or(0);
    let mean = u64::from(spec.bitrate).saturating_mul(ticks) / (8 * 90_000);
    mean.saturating_mul(4).saturating_add(FLOOR)
}

fn check_format(
    video: &[AccessUnit],
    spec: &RenditionSpec,
    shape: &Shape,
) -> Result<VideoFormat, Defect> {
    let first = video.first().filter(|au| au.idr).ok_or(Defect::NotIdr)?;
    let (sps, pps) = parameter_sets(&first.data);
    let sps = sps.ok_or(Defect::NoParameterSet("SPS"))?;
    pps.ok_or(Defect::NoParameterSet("PPS"))?;
    let format = parse_sps(sps).map_err(Defect::ParameterSets)?;
    let (expected, got) = ((spec.width, spec.height), (format.width, format.height));
    if got != expected {
        return Err(Defect::Size { expected, got });
    }
    if format.interlaced {
        return Err(Defect::Interlaced);
    }
    let (profile_idc, constraints) = spec.profile.idc();
    let asked = VideoFormat {
        profile_idc,
        constraints,
        level_idc: spec.level_idc,
        ..format
    };
    let (expected, got) = (codec_string(&asked), codec_string(&format));
    if got != expected {
        return Err(Defect::Codec { expected, got });
    }
    let (expected, got) = (shape.colour, format.colour);
    if got != expected {
        return Err(Defect::Colour { expected, got });
    }
    let (expected, got) = (shape.sample_aspect, format.sample_aspect);
    if got != expected {
        return Err(Defect::SampleAspect { expected, got });
    }
    Ok(format)
}

fn check_times(video: &[AccessUnit], source: &Source, shape: &Shape) -> Result<(), Defect> {
    let pts: Vec<_> = video.iter().map(|au| au.pts).collect();
    let (first, last) = (pts.iter().min().copied(), pts.iter().max().copied());
    let (expected, got) = (source.first_pts, first.unwrap_or(Timestamp(0)));
    if got != expected {
        return Err(Defect::FirstPts { expected, got });
    }
    let (expected, got) = (source.last_pts, last.unwrap_or(Timestamp(0)));
    if got != expected {
        return Err(Defect::LastPts { expected, got });
    }
    let depth = reorder_depth(&pts);
    if depth > usize::from(shape.reorder_depth) {
        return Err(Defect::Reorder {
            expected: shape.reorder_depth,
            got: depth,
        });
    }
    let dts = assign_dts(&pts, shape.dts_offset);
    match video
        .iter()
        .zip(&dts)
        .enumerate()
        .find(|(_, (au, dts))| au.dts != **dts)
    {
        Some((frame, (au, &expected))) => Err(Defect::Dts {
            frame,
            expected,
            got: au.dts,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioConfig, AudioFrame};
    use crate::shape::Profile;
    use crate::time::Ticks;
    use crate::ts::{Layout, Writer};

    const SPS: [u8; 26] = [
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0,
        0, 3, 0, 0x3c, 0x0f, 0x18, 0x31, 0x96,
    ];
    const START: [u8; 4] = [0, 0, 0, 1];
    const OFFSET: Ticks = Ticks(6_000);

    struct Question {
        spec: RenditionSpec,
        source: Source,
        shape: Shape,
    }

    fn question() -> Question {
        let format = parse_sps(&SPS).unwrap();
        let spec = RenditionSpec {
            name: "360p".parse().unwrap(),
            width: 640,
            height: 360,
            bitrate: 800_000,
            profile: Profile::High,
            level_idc: 31,
        };
        let source = Source {
            format,
            frames: 7,
            frame_rate: Ratio::new(30, 1).unwrap(),
            first_pts: Timestamp(900_000),
            last_pts: Timestamp(918_000),
            duration: Ticks(21_000),
            bytes: 10_000,
        };
        let shape = Shape {
            reorder_depth: 2,
            dts_offset: OFFSET,
            colour: Colour::default(),
            sample_aspect: Ratio::ONE,
        };
        Question {
            spec,
            source,
            shape,
        }
    }

    fn answer() -> Vec<AccessUnit> {
        let order = [0, 3, 1, 2, 6, 4, 5];
        let pts: Vec<_> = order
            .iter()
            .map(|i| Timestamp(900_000 + i * 3_000))
            .collect();
        let dts = assign_dts(&pts, OFFSET);
        let units = pts.iter().zip(dts).enumerate();
        units
            .map(|(i, (&pts, dts))| {
                let idr = i == 0;
                let sets = [&START[..], &SPS, &START, &[0x68, 0xeb, 0xe3]].concat();
                let slice = [&START[..], &[if idr { 0x65 } else { 0x41 }, 0x88, 0x84]].concat();
                let data = if idr { [sets, slice].concat() } else { slice };
                AccessUnit {
                    pts,
                    dts,
                    idr,
                    data: Bytes::from(data),
                }
            })
            .collect()
    }

    fn check(video: &[AccessUnit], question: &Question) -> Result<Verified, Defect> {
        let ts = Writer::new(Layout {
            video: true,
            audio: false,
        })
        .segment(video, None);
        let Question {
            spec,
            source,
            shape,
        } = question;
        verify(
            &ts,
            &Expectation {
                spec,
                source,
                shape,
            },
        )
    }

    /// The defect of an answer that was changed so.
    fn defect(change: impl FnOnce(&mut Vec<AccessUnit>, &mut Question)) -> Defect {
        let (mut video, mut question) = (answer(), question());
        change(&mut video, &mut question);
        check(&video, &question).unwrap_err()
    }

    #[test]
    fn the_right_answer() {
        let verified = check(&answer(), &question()).unwrap();
        assert_eq!(verified.frames, 7);
        assert_eq!(verified.format.width, 640);
    }

    #[test]
    fn wrong_pictures() {
        let frames = Defect::Frames {
            expected: 7,
            got: 6,
        };
        assert_eq!(defect(|v, _| drop(v.pop())), frames);
        let start = Bytes::from_static(&[0, 0, 0, 1, 6, 5, 0x80]);
        assert_eq!(defect(|v, _| v[3].data = start), Defect::Empty(3));
        let idr = answer()[0].data.clone();
        assert_eq!(defect(|v, _| v[0].data = v[1].data.clone()), Defect::NotIdr);
        assert_eq!(
            defect(|v, _| v[0].data = idr.slice(30..)),
            Defect::NoParameterSet("SPS")
        );
        let without_pps = Bytes::from([&idr[..30], &idr[37..]].concat());
        assert_eq!(
            defect(|v, _| v[0].data = without_pps),
            Defect::NoParameterSet("PPS")
        );
    }

    #[test]
    fn wrong_format() {
        let size = Defect::Size {
            expected: (640, 480),
            got: (640, 360),
        };
        assert_eq!(defect(|_, q| q.spec.height = 480), size);
        let codec = |expected: &str| Defect::Codec {
            expected: expected.to_owned(),
            got: "avc1.64001f".to_owned(),
        };
        assert_eq!(
            defect(|_, q| q.spec.profile = Profile::Main),
            codec("avc1.4d401f")
        );
        assert_eq!(defect(|_, q| q.spec.level_idc = 30), codec("avc1.64001e"));
        let (expected, got) = (
            Colour {
                matrix: 1,
                ..Colour::default()
            },
            Colour::default(),
        );
        assert_eq!(
            defect(|_, q| q.shape.colour = expected),
            Defect::Colour { expected, got }
        );
        let wide = Ratio::new(4, 3).unwrap();
        let aspect = Defect::SampleAspect {
            expected: wide,
            got: Ratio::ONE,
        };
        assert_eq!(defect(|_, q| q.shape.sample_aspect = wide), aspect);
    }

    #[test]
    fn wrong_times() {
        let (expected, got) = (Timestamp(899_999), Timestamp(900_000));
        assert_eq!(
            defect(|_, q| q.source.first_pts = expected),
            Defect::FirstPts { expected, got }
        );
        let (expected, got) = (Timestamp(918_001), Timestamp(918_000));
        assert_eq!(
            defect(|_, q| q.source.last_pts = expected),
            Defect::LastPts { expected, got }
        );
        assert_eq!(
            defect(|_, q| q.shape.reorder_depth = 0),
            Defect::Reorder {
                expected: 0,
                got: 1
            }
        );
        let (expected, got) = (Timestamp(900_000), Timestamp(900_001));
        assert_eq!(
            defect(|v, _| v[2].dts = got),
            Defect::Dts {
                frame: 2,
                expected,
                got
            }
        );
    }

    #[test]
    fn wrong_stream() {
        let Question {
            spec,
            source,
            shape,
        } = question();
        let expect = Expectation {
            spec: &spec,
            source: &source,
            shape: &shape,
        };
        assert_eq!(
            verify(&[], &expect),
            Err(Defect::Unreadable(TsError::NoSync))
        );
        let limit = 800_000 * 21_000 / (8 * 90_000) * 4 + (1 << 20);
        let huge = vec![0x47; limit + 1];
        let (limit, got) = (limit as u64, limit as u64 + 1);
        assert_eq!(verify(&huge, &expect), Err(Defect::TooLarge { limit, got }));

        let ts = Writer::new(Layout {
            video: true,
            audio: false,
        })
        .segment(&answer(), None);
        let cut = [&ts[..4 * 188], &ts[5 * 188..]].concat();
        assert!(matches!(verify(&cut, &expect), Err(Defect::Damaged(d)) if d.gaps == 1));

        let asc = Bytes::from_static(&[0x12, 0x10]);
        let config = AudioConfig {
            asc,
            object_type: 2,
            sample_rate: 44_100,
            channels: 2,
        };
        let sound = [AudioFrame {
            pts: Timestamp(900_000),
            data: Bytes::from_static(&[1]),
        }];
        let mut writer = Writer::new(Layout {
            video: true,
            audio: true,
        });
        let ts = writer.segment(&answer(), Some((&config, &sound)));
        assert_eq!(verify(&ts, &expect), Err(Defect::Audio(1)));
    }
}
