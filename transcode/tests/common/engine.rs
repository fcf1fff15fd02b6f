//! The pipelines of a worker, in this process.

use bytes::Bytes;
use rackcast_segment::verify::{Expectation, verify};
use rackcast_transcode::pipeline::{
    Encoder, EncoderConfig, Engine, PipelineError, Pipelines, Rendition,
};
use tokio_util::sync::CancellationToken;

use super::{Segment, decode, ts_in};

pub(crate) fn pipelines(encoder: Encoder) -> Pipelines {
    Pipelines::new(
        EncoderConfig {
            encoder,
            ..EncoderConfig::default()
        },
        2,
    )
    .unwrap()
}

pub(crate) fn transcode(p: &mut Pipelines, s: &Segment) -> Result<Vec<Rendition>, PipelineError> {
    let mut out = Vec::new();
    p.transcode(&s.job, &s.units, &CancellationToken::new(), &mut |r| {
        out.push(r);
    })?;
    out.sort_by_key(|r| s.job.renditions.iter().position(|spec| spec.name == r.name));
    Ok(out)
}

/// The renditions as a node sends them, each what was asked for by the ingest's own judgement.
pub(crate) fn made(pipelines: &mut Pipelines, s: &Segment) -> Vec<Bytes> {
    let renditions = transcode(pipelines, s).unwrap();
    assert_eq!(renditions.len(), s.job.renditions.len());
    let all = renditions.iter().zip(&s.job.renditions);
    all.map(|(rendition, spec)| {
        let ts = ts_in(spec.codec, &rendition.pictures);
        let expect = Expectation {
            spec,
            source: &s.job.source,
            shape: &s.job.shape,
        };
        verify(&ts, &expect).unwrap();
        let (complaints, pictures) = decode(&ts);
        assert_eq!(complaints, "", "{}", spec.name);
        assert_eq!(pictures, spec.frames(s.job.source.frames) as usize);
        ts
    })
    .collect()
}
