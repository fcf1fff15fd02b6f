//! What is made of failures.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::{sample, ts};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pipeline::config::EncoderConfig;
use crate::pipeline::{Engine, Pipelines, affinity, run};

fn segment() -> (JobSpec, Vec<AccessUnit>) {
    let job = sample::job().unwrap();
    let limits = ts::Limits::default();
    let read = ts::read(&sample::segment(), job.source.first_pts, &limits).unwrap();
    (job, read.video)
}

fn pipelines() -> Pipelines {
    Pipelines::new(EncoderConfig::default(), 2).unwrap()
}

#[test]
fn a_failure_that_was_not_heard_is_not_told_of_the_next_segment() {
    let (mut pipelines, (job, units)) = (pipelines(), segment());
    let cancel = CancellationToken::new();
    let transcode =
        |pipelines: &mut Pipelines| pipelines.transcode(&job, &units, &cancel, &mut |_| ());
    transcode(&mut pipelines).unwrap();
    let graph = pipelines.warm.pop().expect("it is kept");
    gst::element_error!(graph.pipeline, gst::CoreError::Failed, ("late"));
    pipelines.put_back(graph);
    assert!(pipelines.warm.is_empty(), "it is not trusted again");
    transcode(&mut pipelines).unwrap();
    assert_eq!(pipelines.warm.len(), 1);
}

/// What becomes of a segment whose pictures this pad does not take, without a message.
fn refused(pad: impl Fn(&Graph) -> gst::Pad, flow: gst::FlowError) -> Result<u32, PipelineError> {
    let (_started, (job, units)) = (pipelines(), segment());
    let key = Key::of(&job, &EncoderConfig::default());
    let mut graph = Graph::build(key, &job, 0, &Arc::default()).unwrap();
    pad(&graph).add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        info.data = None;
        info.flow_res = Err(flow);
        gst::PadProbeReturn::Handled
    });
    run::run(&mut graph, &units, &CancellationToken::new(), |_| ())
}

#[test]
fn who_takes_no_picture_and_says_nothing_is_told_for_what_it_is() {
    use gst::FlowError::{Error, Flushing, NotNegotiated};
    let of_decoder = |graph: &Graph| graph.decoding.decoder.static_pad("sink").unwrap();
    let behind = |graph: &Graph| graph.decoding.bin.src_pads().remove(0);
    let said = |result: Result<u32, PipelineError>, by: &str| {
        let error = result.unwrap_err();
        let text = error.to_string();
        let expected = format!("{by} did not take picture ");
        assert!(text.contains(&expected), "{text}");
        error
    };
    for flow in [Error, NotNegotiated] {
        let error = said(refused(of_decoder, flow), "avdec_h264");
        assert!(matches!(error, PipelineError::Undecodable(_)), "{error}");
        let error = said(refused(behind, flow), "what follows the decoder");
        assert!(matches!(error, PipelineError::Internal(_)), "{error}");
    }
    let error = said(refused(of_decoder, Flushing), "avdec_h264");
    assert!(matches!(error, PipelineError::Internal(_)), "{error}");
}

#[test]
fn what_cannot_be_kept_draws_no_job() {
    let (plain, _) = segment();
    let mut hevc = plain.clone();
    let rate = hevc.source.frame_rate;
    hevc.renditions = hevc
        .renditions
        .into_iter()
        .map(|r| r.in_hevc(rate))
        .collect();
    assert!(affinity(&plain).is_some());
    assert_eq!(affinity(&hevc), None);
}
