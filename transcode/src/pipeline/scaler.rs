//! The element that scales on the CPU: [`rackcast_scale`] as GStreamer sees it.
//!
//! GStreamer's `videoscale` takes twice the time of ffmpeg's scaler (docs/performance.md), and moves
//! colours by a quarter of a sample at each rung, since it takes the chroma of H.264 to lie between the
//! samples of luma.

use std::sync::{LazyLock, Mutex, PoisonError};

use gst::glib;
use gstreamer as gst;
use gstreamer_base as gst_base;
use gstreamer_base::subclass::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use gstreamer_video::subclass::prelude::*;
use rackcast_scale::{Axis, Scaler};

/// Its name, as those of other elements.
pub(super) const SCALER: &str = "rackcastscale";

/// Makes the element known to GStreamer under its name; again does nothing.
pub(super) fn register() -> Result<(), glib::BoolError> {
    // Once: another time would free the factory that pipelines hold.
    static REGISTERED: LazyLock<Result<(), glib::BoolError>> = LazyLock::new(|| {
        gst::Element::register(None, SCALER, gst::Rank::NONE, Scale::static_type())
    });
    REGISTERED.clone()
}

glib::wrapper! {
    /// Scales I420 to the size that is asked for downstream.
    pub(super) struct Scale(ObjectSubclass<Imp>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Luma, and either plane of chroma.
struct Scalers([Scaler; 2]);

#[derive(Default)]
pub(super) struct Imp(Mutex<Option<Scalers>>);

#[glib::object_subclass]
impl ObjectSubclass for Imp {
    const NAME: &'static str = "RackcastScale";
    type Type = Scale;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for Imp {}
impl GstObjectImpl for Imp {}

impl ElementImpl for Imp {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Rackcast's scaler",
                "Filter/Converter/Video/Scaler",
                "Scales I420 with vector instructions",
                "Rackcast",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new()
                .format(gst_video::VideoFormat::I420)
                .build();
            let pad = |name, direction| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
            };
            let pads = [
                pad("sink", gst::PadDirection::Sink),
                pad("src", gst::PadDirection::Src),
            ];
            pads.into_iter().filter_map(Result::ok).collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for Imp {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    /// Any size comes of any other; all else stays.
    fn transform_caps(
        &self,
        _direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let mut other = caps.clone();
        for structure in other.make_mut().iter_mut() {
            for side in ["width", "height"] {
                structure.set(side, gst::IntRange::new(1, i32::MAX));
            }
            structure.remove_field("pixel-aspect-ratio");
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }
}

impl VideoFilterImpl for Imp {
    fn set_info(
        &self,
        caps: &gst::Caps,
        from: &gst_video::VideoInfo,
        _: &gst::Caps,
        to: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        // On the left, unless the source says otherwise (ITU-T H.264, E.2.1). By its name: the
        // `VideoInfo` of GStreamer 1.22 had no site for caps that said mpeg2.
        let site = caps.structure(0).and_then(|s| s.get("chroma-site").ok());
        let (left, top) = match site.unwrap_or("mpeg2") {
            "jpeg" => (false, false),
            "cosited" | "dv" => (true, true),
            _ => (true, false),
        };
        let size = |info: &gst_video::VideoInfo| [info.width() as usize, info.height() as usize];
        let ([width, height], [to_width, to_height]) = (size(from), size(to));
        let luma = Scaler::new(
            Axis::of_luma(width, to_width),
            Axis::of_luma(height, to_height),
        );
        let chroma = Scaler::new(
            Axis::of_chroma(width, to_width, left),
            Axis::of_chroma(height, to_height, top),
        );
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Scalers([luma, chroma]));
        Ok(())
    }

    fn transform_frame(
        &self,
        from: &gst_video::VideoFrameRef<&gst::BufferRef>,
        to: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut scalers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Scalers([luma, chroma]) = scalers.as_mut().ok_or(gst::FlowError::NotNegotiated)?;
        for plane in 0..3 {
            let scaler = if plane == 0 { &mut *luma } else { &mut *chroma };
            let failed = |e: String| {
                gst::element_imp_error!(self, gst::CoreError::Failed, ["{e}"]);
                gst::FlowError::Error
            };
            let stride = |strides: &[i32]| {
                let stride = strides.get(plane as usize).copied().unwrap_or_default();
                usize::try_from(stride).unwrap_or_default()
            };
            let (from_stride, to_stride) = (stride(from.plane_stride()), stride(to.plane_stride()));
            let source = from.plane_data(plane).map_err(|e| failed(e.to_string()))?;
            let target = to
                .plane_data_mut(plane)
                .map_err(|e| failed(e.to_string()))?;
            scaler
                .scale((source, from_stride), (target, to_stride))
                .map_err(|e| failed(e.to_string()))?;
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose samples, of luma and of both chromas, tell where they lie.
    fn picture(width: usize, height: usize, lies: f64) -> Vec<u8> {
        let (across, down) = (width.div_ceil(2), height.div_ceil(2));
        let luma = (0..height).flat_map(|_| (0..width).map(|x| x as u8));
        let chroma = (0..2 * down).flat_map(|_| (0..across).map(|x| (2.0 * x as f64 + lies) as u8));
        luma.chain(chroma).collect()
    }

    #[test]
    fn colours_stay_where_they_are() {
        gst::init().unwrap();
        register().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (source, made) = (folder.path().join("source"), folder.path().join("made"));
        let (from, to) = ((240, 62), (60, 16));
        for (site, lies) in [("mpeg2", 0.0), ("jpeg", 0.5)] {
            std::fs::write(&source, picture(from.0, from.1, lies)).unwrap();
            let pipeline = gst::parse::launch(&format!(
                "filesrc location={source:?} ! rawvideoparse format=i420 width={} height={} ! \
                 capssetter join=false caps=video/x-raw,chroma-site={site} ! {SCALER} ! \
                 video/x-raw,width={},height={} ! filesink location={made:?}",
                from.0, from.1, to.0, to.1
            ));
            let pipeline = pipeline.unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            let ends = [gst::MessageType::Eos, gst::MessageType::Error];
            let bus = pipeline.bus().unwrap();
            let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
            pipeline.set_state(gst::State::Null).unwrap();
            assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);

            let made = std::fs::read(&made).unwrap();
            let (luma, chroma) = made.split_at(to.0 * to.1);
            let rows = [luma, chroma].map(|plane| plane[..to.0 / 2].to_vec());
            for (i, samples) in rows.iter().enumerate() {
                let (step, lies) = if i == 0 { (1.0, 0.0) } else { (2.0, lies) };
                for (x, sample) in samples.iter().enumerate().take(28).skip(2) {
                    let here = step * x as f64 + lies;
                    let right = (here + 0.5) * 4.0 - 0.5;
                    let off = f64::from(*sample) - right;
                    assert!(
                        off.abs() < 0.8,
                        "{site}: plane {i}, {x}: {sample} for {right}"
                    );
                }
            }
        }
    }
}
