//! A stream with somebody who watches it, and several of them at once.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use crate::check;
use crate::player::{Player, Recording};
use crate::process::{Process, runs};
use crate::publish::publish;

/// How often the publisher is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A publisher, and a player of its stream.
#[derive(Debug)]
pub struct Show {
    publisher: Process,
    player: Player,
}

impl Show {
    /// Begins to publish a file here and to play it there.
    ///
    /// # Panics
    /// The stream does not begin.
    pub async fn begin(file: &Path, publish_to: &str, master: &str) -> Self {
        let publisher = publish(file, publish_to);
        let player = Player::follow(master).await;
        Self { publisher, player }
    }

    /// Waits for so many more segments of every rendition.
    ///
    /// # Panics
    /// They do not come, or nobody is left to publish them.
    pub async fn goes_on(&self, segments: usize) {
        tokio::select! {
            biased;
            () = self.player.more(segments) => {}
            () = self.is_over() => panic!("the publisher ended, and {segments} segments were to come"),
        }
    }

    async fn is_over(&self) {
        let pid = self.publisher.pid();
        while runs(pid) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The publisher had one connection all the time, and the viewer missed nothing: what was seen.
    ///
    /// # Panics
    /// That is not so.
    pub async fn end_unharmed(mut self) -> Recording {
        assert!(
            self.publisher.ended().is_none(),
            "the publisher was cut off"
        );
        let recording = self.player.stop().await;
        recording.assert_sound();
        assert_eq!(recording.outages, [""; 0]);
        assert!(!recording.transcoded().is_empty(), "nothing is transcoded");
        check::assert_nothing_lost(&recording);
        check::assert_same_pictures(&recording);
        recording
    }
}

/// Several of them, each of which is waited for while the others are: so many segments take as long as
/// those of one.
#[derive(Debug)]
pub struct Shows(Vec<Show>);

impl Shows {
    /// Begins to publish a file under each of these addresses, and to play it at its other one.
    ///
    /// # Panics
    /// A stream does not begin.
    pub async fn begin(file: &Path, addresses: &[(String, String)]) -> Self {
        let begin = |(to, at): &(String, String)| {
            let (to, at) = (to.clone(), at.clone());
            async move { Show::begin(file, &to, &at).await }
        };
        Self(join_all(addresses.iter().map(begin)).await)
    }

    /// Waits for so many more segments of every rendition of each.
    ///
    /// # Panics
    /// They do not come.
    pub async fn go_on(&self, segments: usize) {
        join_all(self.0.iter().map(|show| show.goes_on(segments))).await;
    }

    /// All go on, and no viewer missed anything.
    ///
    /// # Panics
    /// That is not so.
    pub async fn end_unharmed(self) {
        self.go_on(2).await;
        join_all(self.0.into_iter().map(Show::end_unharmed)).await;
    }
}
