//! Media playlists as text (RFC 8216, and `EXT-X-GAP` of its second edition).
//!
//! Addresses are relative to the playlist, which stands in the folder of its first epoch:
//! `../<epoch>/<rendition>/<sequence>.ts`. That leads to the muxed segment where the playlist
//! stands under `muxed/`. A gap keeps its address, at which there will never be anything.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use humantime_serde::re::humantime::format_rfc3339_millis;

use rackcast_segment::id::RenditionName;

use super::window::List;

/// The last second that has four digits of year.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// What `EXT-X-GAP` needs: always, since it may not change either when a gap comes or goes.
const VERSION: u32 = 8;

/// The text of one rendition's playlist.
pub(super) fn media(list: &List<'_>) -> String {
    let first = list.slots.first().map_or(0, |(s, _)| s.info.sequence.0);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
        list.target, list.discontinuities
    );
    // Pieces of a long GOP stand in the source only, and no tag of a playlist may come or go.
    if list.track.name != RenditionName::source() {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let name = &list.track.name;
    for (slot, media) in &list.slots {
        let info = &slot.info;
        if info.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if !media {
            text.push_str("#EXT-X-GAP\n");
        }
        let date = info.program_date_time.min(SystemTime::UNIX_EPOCH + LATEST);
        let date = format_rfc3339_millis(date.max(SystemTime::UNIX_EPOCH));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:{:.6},\n../{}/{name}/{}.ts\n",
            info.duration.seconds(),
            slot.epoch,
            info.sequence,
        );
    }
    if list.ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}
