//! A stream with somebody who watches it.

use std::path::Path;

use crate::check;
use crate::player::{Player, Recording};
use crate::process::Process;
use crate::publish::publish;

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
    /// They do not come.
    pub async fn goes_on(&self, segments: usize) {
        let seen = self.player.so_far().common();
        self.player.segments(seen + segments).await;
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
