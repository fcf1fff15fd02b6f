//! What is looked at before a segment comes near a decoder.

use rackcast_segment::codec::CodecError;
use rackcast_segment::h264;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::ts::{self, TsError};
use rackcast_segment::wire::job::Source;

use crate::pipeline::PipelineError;

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
            "there is no H.264 or HEVC video in it".to_owned(),
        ));
    };
    let codec = source.format.codec;
    if demuxed.codec != codec {
        return undecodable(format!("{} in it, {codec} announced", demuxed.codec));
    }
    if units.len() != source.frames as usize {
        return undecodable(format!(
            "{} pictures, {} announced",
            units.len(),
            source.frames
        ));
    }
    let shown = || units.iter().map(|unit| unit.pts);
    if (shown().min(), shown().max()) != (Some(source.first_pts), Some(source.last_pts)) {
        return undecodable("its pictures are not shown when it was announced".to_owned());
    }
    if !first.idr {
        return undecodable("the first picture is no IDR".to_owned());
    }
    let parameter_sets = units
        .iter()
        .flat_map(|unit| h264::nal_units(&unit.data))
        .filter(|nal| nal.first().is_some_and(|header| codec.is_sps(*header)));
    for sps in parameter_sets {
        let refuse = |e: CodecError| match e.is_unsupported() {
            true => PipelineError::Unsupported(e.to_string()),
            false => PipelineError::Undecodable(e.to_string()),
        };
        let format = codec.parse_sps(sps).map_err(refuse)?;
        if (format.width, format.height) != (source.format.width, source.format.height) {
            return undecodable(format!("pictures of {}x{}", format.width, format.height));
        }
        if (format.samples, format.interlaced) != (source.format.samples, source.format.interlaced)
        {
            return undecodable(format!(
                "its samples are {}{}, not as announced",
                format.samples,
                if format.interlaced {
                    ", interlaced"
                } else {
                    ""
                }
            ));
        }
    }
    Ok(units)
}
