//! A stream that waits for its publisher to return, here or elsewhere.
//!
//! It is declared over when its grace is, and only if the directory, asked again, knows nobody who
//! carries it on. If that cannot be asked for [`LAST_WORD`], the stream is left without an end: who
//! plays it may still be carried on, and nobody is told wrongly that it is over.

use std::time::{Duration, SystemTime};

use rackcast_service::drain;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::contest::{Here, Verdict};
use super::publication::Feed;
use super::task::{Attach, StreamTask};

/// How long after the grace the directory may take to answer.
const LAST_WORD: Duration = Duration::from_secs(10);

impl StreamTask {
    /// Waits for the publisher to return, here or elsewhere.
    pub(super) async fn waiting(&mut self, attaches: &mut mpsc::Receiver<Attach>) -> Option<Feed> {
        self.told.is_lost(SystemTime::now());
        if let Some(life) = &self.life {
            life.is_lost();
        }
        self.lookout.hurry();
        let (shutdown, leaving) = (self.parts.shutdown.clone(), self.parts.leaving.clone());
        let mut orders = self.parts.orders.clone();
        let grace = self.parts.settings.load().config.grace;
        let (drained, patience) = (drain::overdue(&mut orders), sleep(grace + LAST_WORD));
        let grace = sleep(grace);
        tokio::pin!(grace, drained, patience);
        loop {
            tokio::select! {
                attach = attaches.recv() => {
                    let feed = self.accept(attach);
                    if feed.is_some() || attaches.is_closed() {
                        return feed;
                    }
                }
                seen = self.lookout.next(|| true) => match self.judge(Here::Waiting, &seen) {
                    Some(Verdict::GiveWay) => {
                        self.gives_way();
                        return None;
                    }
                    Some(_) if grace.is_elapsed() => return None,
                    _ => {}
                },
                () = &mut grace, if !grace.is_elapsed() => self.lookout.hurry(),
                () = &mut patience => {
                    log::warn!(
                        rackcast_stream = self.id.to_string();
                        "left without an end: the directory does not say whether another ingest \
                         carries it on"
                    );
                    self.parts.metrics.contested("undecided");
                    break;
                }
                () = &mut drained => break,
                () = leaving.cancelled() => break,
                () = shutdown.cancelled() => return None,
            }
        }
        self.goes_on_elsewhere = true;
        None
    }
}
