//! What is looked at before a segment comes near a decoder.

use rackcast_segment::h264::{self, H264Error};
use rackcast_segment::media::AccessUnit;
use rackcast_segment::ts::{self, TsError};
use rackcast_segment::wire::job::Source;

use crate::pipeline::PipelineError;

/// `nal_unit_type` of a sequence parameter set.
const NAL_SPS: u8 = 7;

/// The segment's pictures, if they are what the job says: admission went by that, and no
/// picture is decoded that is larger than was admitted.
pub(super) fn access_units(
    segment: &[u8],
    source: &Source,
) -> Result<Vec<AccessUnit>, PipelineError> {
    let undecodable = |text| Err(PipelineError::Undecodable(text));
    let demuxed =
        ts::read(segment, source.first_pts, &ts::Limits::default()).map_err(|e| match e {
            TsError::NoProgram => PipelineError::Unsupported(e.to_string()),
            e => PipelineError::Undecodable(e.to_string()),
        })?;
    if demuxed.damage.any() {
        return undecodable(format!(
            "the transport stream is damaged: {:?}",
            demuxed.damage
        ));
    }
    let units = demuxed.video;
    let Some(first) = units.first() else {
        return Err(PipelineError::Unsupported(
            "there is no H.264 video in it".to_owned(),
        ));
    };
    if units.len() != source.frames as usize {
        return undecodable(format!(
            "{} pictures, {} announced",
            units.len(),
            source.frames
        ));
    }
    if !first.idr {
        return undecodable("the first picture is no IDR".to_owned());
    }
    let parameter_sets = units
        .iter()
        .flat_map(|unit| h264::nal_units(&unit.data))
        .filter(|nal| nal.first().is_some_and(|header| header & 0x1f == NAL_SPS));
    for sps in parameter_sets {
        let format = h264::parse_sps(sps).map_err(|e| match e {
            H264Error::Unsupported(_) => PipelineError::Unsupported(e.to_string()),
            e => PipelineError::Undecodable(e.to_string()),
        })?;
        if (format.width, format.height) != (source.format.width, source.format.height) {
            return undecodable(format!("pictures of {}x{}", format.width, format.height));
        }
    }
    Ok(units)
}
