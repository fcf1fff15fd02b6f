//! What an encoder is told of its rate, for one segment.
//!
//! x264 is told a quality, and a limit: it begins at the quality that the whole segment will have, where
//! by a bit rate alone it would begin in ignorance and starve or waste its first pictures
//! (1 to 2.5 dB of SSIM at the same bits). The limit is its model of a player's buffer. It bounds the
//! segment: what the buffer holds at the start, and what flows in while the segment lasts. openh264 meets a
//! bit rate within a hundredth, from the first picture on, and is told one. So are GPUs.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::Codec;
use rackcast_segment::rate::{EncoderName, Rate};
use rackcast_segment::wire::job::JobSpec;

use super::config::EncoderConfig;

/// The encoder's model of a player's buffer, in milliseconds of the rate that fills it.
const BUFFER_MS: u32 = 1_000;
/// How full it is at the start of a segment that is told a quality: as x264 has it by itself.
const FULL: f64 = 0.9;
/// A segment that is shorter is measured with its neighbours.
const SHORTEST: f64 = 1.0;
/// The quantiser steps of x264's scale.
const MAX_QUANTISER: u32 = 50;
/// The finest quantiser of an encoder that is told a bit rate. A still picture would drive it to nought,
/// and the first one of the next scene would be coded by that: many times what the segment may have.
const FINEST: u32 = 16;
/// By how much coarser that is where it was too much all the same.
const COARSER: u32 = 8;

/// What an encoder is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Told {
    /// A quality, and what fills the buffer at most.
    Quality {
        /// In hundredths of a step on the scale of x264's CRF.
        quality: u32,
        /// Thousands of bits a second.
        limit: u32,
    },
    /// Bits a second, and the finest quantiser.
    BitRate {
        /// Bits a second.
        bits: u32,
        /// Pictures that need less at this get less.
        finest: u32,
    },
}

impl Told {
    /// What this one is told of a rendition; `again`: how often it came out too large already.
    pub(super) fn of(
        config: &EncoderConfig,
        spec: &RenditionSpec,
        job: &JobSpec,
        again: u32,
    ) -> Self {
        let Some(rate) = job.rates.get(&spec.name) else {
            let (bits, finest) = (spec.bitrate, 0);
            return Self::BitRate { bits, finest };
        };
        let name = config.rate_name().filter(|_| spec.codec == Codec::H264);
        match name {
            Some(name) => Self::quality(rate, &name, job.source.duration.seconds()),
            None => Self::BitRate {
                bits: rate.bitrate.min(rate.peak),
                finest: (FINEST + again * COARSER).min(MAX_QUANTISER),
            },
        }
    }

    fn quality(rate: &Rate, name: &EncoderName, seconds: f64) -> Self {
        let seconds = seconds.max(SHORTEST);
        let buffer = f64::from(BUFFER_MS) / 1_000.0 * FULL;
        let limit = f64::from(rate.peak) / 1_000.0 * seconds / (seconds + buffer);
        Self::Quality {
            quality: rate.quality(name),
            limit: (limit as u32).max(1),
        }
    }
}

/// Tells x264enc, which takes it in no other state than NULL and READY; `options` are its own beside these.
pub(super) fn tell_x264(element: &gst::Element, told: Told, height: u32, options: &str) {
    element.set_property("vbv-buf-capacity", BUFFER_MS);
    let options = match told {
        Told::BitRate { bits, .. } => {
            element.set_property_from_str("pass", "cbr");
            element.set_property("bitrate", (bits / 1000).max(1));
            format!("{options}:vbv-init={}", vbv_init(height))
        }
        Told::Quality { quality, limit } => {
            element.set_property_from_str("pass", "qual");
            element.set_property("bitrate", limit);
            // The element takes whole steps. A zone over all pictures that has more bits makes up the rest:
            // six steps are twice the quantiser.
            let step = quality.div_ceil(100).min(MAX_QUANTISER);
            element.set_property("quantizer", step);
            let part = f64::from(step) - f64::from(quality) / 100.0;
            let more = (part / 6.0).exp2();
            format!("{options}:vbv-init={FULL}:zones=0,1000000,b={more:.4}")
        }
    };
    element.set_property("option-string", options);
}

/// How full the buffer is at the start of a segment that is told a bit rate. A fresh x264 begins at 0.9
/// and spends the surplus, 15 % too much at 1080p; small pictures spend less than they may.
fn vbv_init(height: u32) -> f32 {
    match height {
        0..=300 => 0.8,
        301..=420 => 0.7,
        421..=600 => 0.6,
        _ => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_segment::id::Sequence;
    use rackcast_segment::rate::{Account, Policy};

    use super::super::config::Encoder;

    #[test]
    fn a_lone_job_is_made_by_its_mean_and_one_that_carries_rates_by_them() {
        let mut job = rackcast_segment::sample::job().unwrap();
        let spec = job.renditions[0].clone();
        let config = |encoder| EncoderConfig {
            encoder,
            ..EncoderConfig::default()
        };
        let (x264, openh264) = (config(Encoder::X264), config(Encoder::Openh264));
        let told = |bits, finest| Told::BitRate { bits, finest };
        assert_eq!(Told::of(&x264, &spec, &job, 0), told(100_000, 0));

        let mut account = Account::new(Policy::default(), &spec, job.source.frame_rate);
        job.source.duration = rackcast_segment::time::Ticks(180_000);
        account.ask(Sequence(1), job.source.duration);
        account.came(Sequence(1), 260_000, None);
        let (rate, _) = account.ask(Sequence(2), job.source.duration);
        job.rates.insert(spec.name.clone(), rate);
        assert_eq!(Told::of(&openh264, &spec, &job, 0), told(85_000, 16));
        assert_eq!(Told::of(&openh264, &spec, &job, 1), told(85_000, 24));
        let Told::Quality { limit, .. } = Told::of(&x264, &spec, &job, 0) else {
            panic!("x264 is told a quality");
        };
        // 145.5 kb/s for 2 s, of which the buffer holds 0.9 s.
        assert_eq!(limit, 100);
    }
}
