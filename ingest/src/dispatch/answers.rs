//! What of a segment is still to be answered, and the channel on which each rendition is.

use bytes::Bytes;
use rackcast_route::plan::{GiveUp, Renditions};
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::job::JobSpec;
use tokio::sync::mpsc;

use super::{Made, Outcome};

/// Answers each rendition of a segment once. The channel ends with the last answer.
#[derive(Debug)]
pub(super) struct Answers {
    names: Vec<RenditionName>,
    left: Renditions,
    /// Those that came.
    ready: usize,
    outcomes: Option<mpsc::Sender<Outcome>>,
}

impl Answers {
    /// The answers to all renditions of a job, and where they come out. The channel has room
    /// for all of them.
    pub(super) fn new(spec: &JobSpec) -> (Self, mpsc::Receiver<Outcome>) {
        let names: Vec<_> = spec.renditions.iter().map(|r| r.name.clone()).collect();
        let (outcomes, receiver) = mpsc::channel(names.len().max(1));
        let answers = Self {
            left: Renditions::first(names.len()),
            outcomes: Some(outcomes).filter(|_| !names.is_empty()),
            ready: 0,
            names,
        };
        (answers, receiver)
    }

    /// Hands a rendition out.
    pub(super) fn ready(&mut self, index: u8, media: Bytes, made: Made) {
        if self.left.contains(index) {
            self.ready += 1;
            self.answer(index, |rendition| Outcome::Ready {
                rendition,
                media,
                made,
            });
        }
    }

    /// Says of each of these that is left that it will not come; how many those are.
    pub(super) fn missing(&mut self, renditions: Renditions, reason: GiveUp) -> u64 {
        let lost = renditions.intersection(self.left);
        for index in lost.iter() {
            self.answer(index, |rendition| Outcome::Missing { rendition, reason });
        }
        lost.len() as u64
    }

    /// Renditions without an answer.
    pub(super) fn left(&self) -> Renditions {
        self.left
    }

    /// How much of the segment came, as the metric calls it.
    pub(super) fn result(&self) -> &'static str {
        match self.ready {
            n if n == self.names.len() => "complete",
            0 => "none",
            _ => "partial",
        }
    }

    /// Resolves when nobody waits for what is left any more; never once all is answered.
    pub(super) async fn abandoned(&self) {
        match &self.outcomes {
            Some(outcomes) => outcomes.closed().await,
            None => std::future::pending().await,
        }
    }

    fn answer(&mut self, index: u8, outcome: impl FnOnce(RenditionName) -> Outcome) {
        self.left = self.left.without(index);
        if let (Some(name), Some(outcomes)) =
            (self.names.get(usize::from(index)), &self.outcomes)
            // There is room, so this fails only if nobody listens.
            && outcomes.try_send(outcome(name.clone())).is_err()
        {
            log::debug!("an outcome came for a segment that nobody waits for");
        }
        if self.left.is_empty() {
            self.outcomes = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(names: &[&str]) -> (Answers, mpsc::Receiver<Outcome>) {
        let (outcomes, receiver) = mpsc::channel(names.len());
        let answers = Answers {
            names: names.iter().map(|n| n.parse().unwrap()).collect(),
            left: Renditions::first(names.len()),
            ready: 0,
            outcomes: Some(outcomes),
        };
        (answers, receiver)
    }

    #[test]
    fn each_rendition_is_answered_once_and_then_the_channel_ends() {
        let (mut answers, mut outcomes) = answers(&["720p", "360p", "240p"]);
        answers.ready(1, Bytes::from_static(b"x"), Made::default());
        answers.ready(1, Bytes::from_static(b"y"), Made::default());
        answers.ready(9, Bytes::from_static(b"z"), Made::default());
        assert_eq!(answers.missing(Renditions::first(2), GiveUp::Deadline), 1);
        assert_eq!(answers.result(), "partial");
        assert_eq!(answers.left(), Renditions::only(2));
        assert_eq!(answers.missing(Renditions::first(16), GiveUp::Poison), 1);
        let mut all = Vec::new();
        while let Ok(outcome) = outcomes.try_recv() {
            all.push(match outcome {
                Outcome::Ready {
                    rendition, media, ..
                } => (rendition.to_string(), Ok(media)),
                Outcome::Missing { rendition, reason } => (rendition.to_string(), Err(reason)),
            });
        }
        let expected = [
            ("360p".to_owned(), Ok(Bytes::from_static(b"x"))),
            ("720p".to_owned(), Err(GiveUp::Deadline)),
            ("240p".to_owned(), Err(GiveUp::Poison)),
        ];
        assert_eq!(all, expected);
        assert_eq!(
            outcomes.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        );
    }

    #[tokio::test]
    async fn nobody_abandons_what_is_answered() {
        let (mut answers, outcomes) = answers(&["720p"]);
        drop(outcomes);
        answers.abandoned().await;
        answers.ready(0, Bytes::new(), Made::default());
        let wait = tokio::time::timeout(std::time::Duration::ZERO, answers.abandoned());
        assert!(wait.await.is_err());
    }
}
