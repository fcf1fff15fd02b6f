//! What pictures are coded by, and what the stream is told of it.

use rackcast_ingest::rtmp::media::Notice;
use rackcast_segment::h264::nal_units;

use crate::media::{Publisher, sets};
use crate::support::{
    AVC_320X180, AVC_640X360, aac_config, aac_frame, avc_config, avc_picture, avc_units,
};

/// PPS 1 of SPS 0.
const PPS_1: &[u8] = &[0x68, 0x5e, 0x0f, 0xc8];
/// PPS 0 with another quantiser.
const PPS_0: &[u8] = &[0x68, 0xce, 0x0f, 0xd8];
const SLICE: &[u8] = &[0x41, 0x9a, 0x24];

/// A record with the two PPS that it can be told to have.
fn two_pps() -> String {
    AVC_640X360.replace("01000468ce0fc8", "02000468ce0fc80004685e0fc8")
}

/// The NAL units of the last picture.
fn last(p: &Publisher) -> Vec<Vec<u8>> {
    let pictures = p.pictures();
    let last = pictures.last().unwrap();
    nal_units(&last.data).map(<[u8]>::to_vec).collect()
}

#[test]
fn all_parameter_sets_of_the_record_stand_in_front_of_each_keyframe() {
    let mut p = Publisher::new();
    p.video(0, avc_config(&two_pps())).unwrap();
    let (sps, pps) = sets(AVC_640X360);
    for t in [0, 40] {
        p.video(t, avc_picture(true, 0)).unwrap();
        let expected = [&sps[..], &pps, PPS_1];
        assert_eq!(last(&p)[..3], expected);
    }
    assert_eq!(p.video_configs().len(), 1);
}

#[test]
fn a_pps_in_the_middle_is_no_change_and_is_kept() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    p.video(0, avc_picture(true, 0)).unwrap();
    p.video(40, avc_units(false, 0, &[PPS_1, SLICE])).unwrap();
    p.video(80, avc_picture(false, 0)).unwrap();
    p.video(120, avc_picture(true, 0)).unwrap();
    assert_eq!(last(&p)[2], PPS_1);
    // Another quantiser with each keyframe, as some encoders do.
    let (sps, pps) = sets(AVC_640X360);
    for (t, pps) in [(160, PPS_0), (200, &pps[..]), (240, PPS_0)] {
        let units = avc_units(true, 0, &[&sps, pps, &[0x65, 0x88, 0x84]]);
        p.video(t, units).unwrap();
        assert_eq!(last(&p)[..3], [&sps[..], pps, PPS_1]);
    }
    assert_eq!((p.pictures().len(), p.video_configs().len()), (7, 1));
    assert_eq!(p.notices(), []);
}

#[test]
fn an_sps_counts_from_its_keyframe_on() {
    let mut p = Publisher::new();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    let (sps, pps) = sets(AVC_320X180);
    let keyframe = avc_units(true, 0, &[&sps, &pps, &[0x65, 0x88, 0x84]]);
    p.video(0, keyframe.clone()).unwrap();
    p.video(40, avc_picture(false, 0)).unwrap();
    // The record again, which says otherwise: nothing was coded anew.
    p.video(80, avc_config(AVC_640X360)).unwrap();
    p.video(80, avc_config(&two_pps())).unwrap();
    p.video(80, avc_picture(false, 0)).unwrap();
    p.video(120, keyframe).unwrap();
    let heights: Vec<_> = p.video_configs().iter().map(|c| c.format.height).collect();
    assert_eq!(heights, [360, 180], "nothing was shown by the first");
    // A record that says something else than the one before.
    p.video(160, avc_config(AVC_320X180)).unwrap();
    p.video(200, avc_config(AVC_640X360)).unwrap();
    assert_eq!(p.video_configs().last().unwrap().format.height, 360);
}

#[test]
fn a_configuration_of_no_use_does_not_end_what_has_one() {
    let mut p = Publisher::new();
    // Sound that is switched off.
    p.audio(0, vec![0xaf, 0]).unwrap();
    p.video(0, avc_config("")).unwrap();
    p.video(0, avc_config(AVC_640X360)).unwrap();
    p.audio(0, aac_config()).unwrap();
    p.video(40, avc_config("0142c01effe100016701")).unwrap();
    p.audio(40, vec![0xaf, 0, 0x12]).unwrap();
    p.audio(40, vec![0xaf, 0]).unwrap();
    assert_eq!(p.notices().len(), 5);
    let malformed = |notice: &Notice| matches!(notice, Notice::Malformed(_));
    assert!(p.notices().iter().all(malformed));
    p.video(40, avc_picture(true, 0)).unwrap();
    p.audio(40, aac_frame()).unwrap();
    assert_eq!((p.pictures().len(), p.frames().len()), (1, 1));
}
