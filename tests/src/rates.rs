//! The accounts of an ingest, for tests that send segments to nodes themselves.

use std::collections::BTreeMap;

use rackcast_segment::id::{RenditionName, Sequence};
use rackcast_segment::rate::{Account, EncoderName, Policy};
use rackcast_segment::wire::HEADER_ENCODER;
use rackcast_segment::wire::job::Job;

use crate::http::Answer;

/// The accounts of one stream's renditions.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<RenditionName, Account>);

impl Accounts {
    /// Puts into a job what each of its renditions is to be told.
    pub fn ask(&mut self, job: &mut Job) {
        let (sequence, spec) = (job.sequence, &mut job.spec);
        let (duration, frame_rate) = (spec.source.duration, spec.source.frame_rate);
        for rendition in &spec.renditions {
            let open = || Account::new(Policy::default(), rendition, frame_rate);
            let name = rendition.name.clone();
            let account = self.0.entry(name.clone()).or_insert_with(open);
            let (rate, _) = account.ask(sequence, duration);
            spec.rates.insert(name, rate);
        }
    }

    /// A rendition came, with so many bits of video.
    ///
    /// # Panics
    /// It was not asked for.
    pub fn came(
        &mut self,
        sequence: Sequence,
        name: &RenditionName,
        bits: u64,
        by: Option<&EncoderName>,
    ) {
        let account = self.0.get_mut(name).expect("it was asked for");
        let counted = account.came(sequence, bits, by);
        counted.expect("it was out");
    }
}

/// The encoder that was told a quality, as the node calls it.
pub fn encoder(answer: &Answer) -> Option<EncoderName> {
    answer.header(HEADER_ENCODER).parse().ok()
}
