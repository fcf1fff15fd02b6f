//! What a rendition of a given video bit rate takes in MPEG-TS, and what is declared of it.

use crate::ladder::RenditionSpec;
use crate::shape::Ratio;

/// How far one segment may exceed the mean rate.
const PEAK: f64 = 1.5;
/// Of that, what an encoder may use: the rest is for what its model of a buffer misses by.
const USED: f64 = 0.97;
/// 188 bytes of each packet carry 184.
const PACKETS: f64 = 188.0 / 184.0;
/// Of each picture: headers, delimiter, clock, and on average half a packet of stuffing.
const BITS_PER_PICTURE: f64 = 1_050.0;
/// PAT and PMT, once a segment.
const TABLES: f64 = 3_000.0;
/// Pictures a second where that is not known.
const USUAL: f64 = 30.0;

/// Bits a second that a rendition takes on average, in MPEG-TS.
pub fn expected_mean(spec: &RenditionSpec, frame_rate: Option<Ratio>) -> f64 {
    f64::from(spec.bitrate) * PACKETS + around(frame_rate)
}

/// Bits a second that none of its segments exceeds: what `BANDWIDTH` begins with.
pub fn expected_bandwidth(spec: &RenditionSpec, frame_rate: Option<Ratio>) -> f64 {
    expected_mean(spec, frame_rate) * PEAK
}

/// Bits of video a second that a segment may have and be within that.
pub fn most_video(bitrate: u32) -> u32 {
    // What is around the pictures does not grow with them, so there is room to spare.
    (f64::from(bitrate) * PEAK * USED) as u32
}

fn around(frame_rate: Option<Ratio>) -> f64 {
    let pictures = frame_rate.map_or(USUAL, Ratio::as_f64);
    pictures * BITS_PER_PICTURE + TABLES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::AccessUnit;
    use crate::shape::Profile;
    use crate::time::{Ticks, Timestamp};
    use crate::ts::{Layout, Writer};

    /// A second of pictures with so many bits together, in MPEG-TS.
    fn written(bits: u64, pictures: u32) -> f64 {
        let bytes = usize::try_from(bits / 8 / u64::from(pictures)).unwrap();
        let unit = |n| {
            let pts = Timestamp(900_000) + Ticks(n * 90_000 / i64::from(pictures));
            let data = Bytes::from(vec![0x41; bytes]);
            let idr = n == 0;
            AccessUnit {
                pts,
                dts: pts,
                idr,
                data,
            }
        };
        let units: Vec<_> = (0..i64::from(pictures)).map(unit).collect();
        let layout = Layout {
            video: true,
            audio: false,
        };
        Writer::new(layout).segment(&units, None).len() as f64 * 8.0
    }

    #[test]
    fn what_is_written_fits_what_is_declared() {
        for bitrate in [50_000, 250_000, 800_000, 5_000_000] {
            for pictures in [10, 25, 60] {
                let spec = RenditionSpec {
                    name: "r".parse().unwrap(),
                    width: 640,
                    height: 360,
                    bitrate,
                    profile: Profile::High,
                    level_idc: 30,
                    half_rate: false,
                    codec: Default::default(),
                };
                let rate = Ratio::new(pictures, 1);
                let mean = written(bitrate.into(), pictures);
                let declared = expected_mean(&spec, rate);
                assert!(
                    (0.75..1.1).contains(&(mean / declared)),
                    "{bitrate} {pictures}: {mean} {declared}"
                );
                let most = written(most_video(bitrate).into(), pictures);
                let declared = expected_bandwidth(&spec, rate);
                assert!(most <= declared, "{bitrate} {pictures}: {most} {declared}");
            }
        }
    }
}
