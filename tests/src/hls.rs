//! The rules of RFC 8216 (and of its second edition where it adds `EXT-X-GAP`), as far as they
//! can be seen in playlists: [`master`] for one, [`Follower`] for a media playlist and every
//! later version of it, [`agree`] for the renditions of a stream among themselves.
//!
//! Every function returns what is broken, in words; nothing returned means nothing found. It
//! stands on the standard library alone, so that the crates below this one can take it in too.

use std::collections::BTreeMap;

/// A segment as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its address as it stands.
    pub uri: String,
    /// `EXTINF` as it stands, without the comma.
    pub duration: String,
    /// `EXT-X-GAP` stands before it.
    pub gap: bool,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// `EXT-X-PROGRAM-DATE-TIME`, if it has one.
    pub date: Option<String>,
}

impl Item {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.duration.parse().unwrap_or(f64::NAN)
    }
}

/// A media playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Media {
    /// `EXT-X-VERSION`, 1 where it is absent.
    pub version: u64,
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target: u64,
    /// `EXT-X-MEDIA-SEQUENCE`.
    pub first: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuities: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent: bool,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
    /// The segments.
    pub items: Vec<Item>,
}

impl Media {
    /// Reads a playlist and checks it by itself.
    pub fn read(text: &str) -> (Self, Vec<String>) {
        let mut list = Self {
            version: 1,
            ..Self::default()
        };
        let mut broken = Vec::new();
        let mut tags: BTreeMap<&str, u32> = BTreeMap::new();
        let (mut duration, mut gap, mut discontinuity, mut date) = (None, false, false, None);
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            broken.push("the first line is not #EXTM3U".to_owned());
        }
        if !text.ends_with('\n') || text.contains('\r') {
            broken.push("lines do not end with a newline each".to_owned());
        }
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            let number = value.parse::<u64>();
            *tags.entry(tag).or_default() += 1;
            let header = match tag {
                "#EXT-X-VERSION" => Some(&mut list.version),
                "#EXT-X-TARGETDURATION" => Some(&mut list.target),
                "#EXT-X-MEDIA-SEQUENCE" => Some(&mut list.first),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => Some(&mut list.discontinuities),
                _ => None,
            };
            if let Some(header) = header {
                match number {
                    Ok(number) => *header = number,
                    Err(_) => broken.push(format!("{tag} is not a number: {value:?}")),
                }
                if tags.get(tag) != Some(&1) {
                    broken.push(format!("{tag} stands twice"));
                }
                if !list.items.is_empty() || discontinuity {
                    broken.push(format!("{tag} stands behind a segment or a discontinuity"));
                }
                continue;
            }
            match tag {
                "#EXT-X-INDEPENDENT-SEGMENTS" => list.independent = true,
                "#EXT-X-ENDLIST" => list.ended = true,
                "#EXT-X-GAP" => gap = true,
                "#EXT-X-DISCONTINUITY" => discontinuity = true,
                "#EXT-X-PROGRAM-DATE-TIME" => date = Some(value.to_owned()),
                "#EXTINF" => duration = value.strip_suffix(',').map(str::to_owned),
                _ if line.starts_with('#') => broken.push(format!("an unknown tag: {line:?}")),
                _ => {
                    let Some(duration) = duration.take() else {
                        broken.push(format!("{line:?} has no EXTINF"));
                        continue;
                    };
                    list.items.push(Item {
                        uri: line.to_owned(),
                        duration,
                        gap: std::mem::take(&mut gap),
                        discontinuity: std::mem::take(&mut discontinuity),
                        date: date.take(),
                    });
                }
            }
        }
        if duration.is_some() || gap || discontinuity || date.is_some() {
            broken.push("a segment's tags stand behind the last segment".to_owned());
        }
        list.check(&mut broken);
        (list, broken)
    }

    fn check(&self, broken: &mut Vec<String>) {
        if self.target == 0 {
            broken.push("EXT-X-TARGETDURATION is missing".to_owned());
        }
        for item in &self.items {
            let seconds = item.seconds();
            if seconds.is_nan() || seconds <= 0.0 {
                broken.push(format!("{}: a duration of {:?}", item.uri, item.duration));
            } else if seconds.round() > self.target as f64 {
                broken.push(format!(
                    "{}: {seconds} s exceed the target duration",
                    item.uri
                ));
            }
            if item.duration.contains('.') && self.version < 3 {
                broken.push("fractional durations need version 3".to_owned());
            }
            if item.gap && self.version < 8 {
                broken.push("EXT-X-GAP needs version 8".to_owned());
            }
        }
        for (a, b) in self.items.iter().zip(self.items.iter().skip(1)) {
            // In this form, which RFC 3339 allows with one offset, text sorts as time does.
            if a.date.is_some() && b.date.is_some() && a.date > b.date && !b.discontinuity {
                broken.push(format!("{}: the date runs back", b.uri));
            }
            if a.uri == b.uri {
                broken.push(format!("{} is listed twice", a.uri));
            }
        }
    }

    /// The media sequence number, the discontinuity sequence number and the segment, of each.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, u64, &Item)> {
        let mut discontinuity = self.discontinuities;
        (self.first..).zip(&self.items).map(move |(number, item)| {
            discontinuity += u64::from(item.discontinuity);
            (number, discontinuity, item)
        })
    }

    fn duration(&self) -> f64 {
        self.items.iter().map(Item::seconds).sum()
    }
}

/// Follows one media playlist from version to version.
#[derive(Debug, Default)]
pub struct Follower {
    last: Option<Media>,
}

impl Follower {
    /// Takes the next version; returns what is broken in it, or in the way it follows the one
    /// before.
    pub fn next(&mut self, text: &str) -> Vec<String> {
        let (new, mut broken) = Media::read(text);
        if let Some(old) = &self.last {
            follows(old, &new, &mut broken);
        }
        self.last = Some(new);
        broken
    }

    /// The version that was taken last.
    pub fn last(&self) -> Option<&Media> {
        self.last.as_ref()
    }
}

fn follows(old: &Media, new: &Media, broken: &mut Vec<String>) {
    if old.ended && old != new {
        broken.push("it changed after EXT-X-ENDLIST".to_owned());
    }
    if old.target != new.target {
        broken.push(format!(
            "EXT-X-TARGETDURATION changed from {} to {}",
            old.target, new.target
        ));
    }
    if new.first < old.first {
        broken.push(format!(
            "EXT-X-MEDIA-SEQUENCE fell from {} to {}",
            old.first, new.first
        ));
        return;
    }
    let end = |list: &Media| list.first + list.items.len() as u64;
    if end(new) < end(old) {
        broken.push("segments were removed from the end".to_owned());
    }
    let removed = usize::try_from(new.first - old.first).unwrap_or(usize::MAX);
    let gone = old.items.iter().take(removed);
    let passed = gone.filter(|i| i.discontinuity).count() as u64;
    let hole = removed > old.items.len();
    let counted = new.discontinuities.checked_sub(old.discontinuities);
    if counted != Some(passed) && !(hole && counted > Some(passed)) {
        broken.push(format!(
            "EXT-X-DISCONTINUITY-SEQUENCE went from {} to {} while {passed} left the list",
            old.discontinuities, new.discontinuities
        ));
    }
    for (old, new) in old.items.iter().skip(removed).zip(&new.items) {
        if old != new {
            broken.push(format!("an entry changed from {old:?} to {new:?}"));
        }
    }
    // Durations are written to the microsecond, and their sum is not exact.
    let least = 3.0 * new.target as f64 - 1e-6;
    if removed > 0 && !hole && !new.ended && new.duration() < least {
        broken.push("a segment was removed that leaves less than three target durations".into());
    }
}

/// Checks that the renditions of a stream, each with its name, agree: target duration, and for
/// every segment that two of them list its length, date and discontinuity sequence number.
pub fn agree(renditions: &[(&str, &Media)]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut seen: BTreeMap<u64, (&str, u64, &Item)> = BTreeMap::new();
    for (name, list) in renditions {
        if let Some((other, first)) = renditions.first()
            && list.target != first.target
        {
            broken.push(format!("{name} and {other} have unlike target durations"));
        }
        for (number, discontinuity, item) in list.numbered() {
            let (other, theirs, same) = *seen.entry(number).or_insert((name, discontinuity, item));
            if discontinuity != theirs || item.duration != same.duration || item.date != same.date {
                broken.push(format!("{name} and {other} disagree on segment {number}"));
            }
        }
    }
    broken
}

/// Checks a master playlist by itself.
pub fn master(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut groups = Vec::new();
    let mut uris = Vec::new();
    let mut lines = text.lines();
    if lines.next() != Some("#EXTM3U") {
        broken.push("the first line is not #EXTM3U".to_owned());
    }
    while let Some(line) = lines.next() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        let attributes = attributes(value);
        let attribute = |name: &str| attributes.get(name).map_or("", String::as_str);
        match tag {
            "#EXT-X-VERSION" => {}
            "#EXT-X-MEDIA" => {
                for needed in ["TYPE", "GROUP-ID", "NAME"] {
                    if attribute(needed).is_empty() {
                        broken.push(format!("EXT-X-MEDIA without {needed}"));
                    }
                }
                groups.push(attribute("GROUP-ID").to_owned());
                uris.push(attribute("URI").to_owned());
            }
            "#EXT-X-STREAM-INF" => {
                let peak = attribute("BANDWIDTH").parse::<u64>();
                let mean = attribute("AVERAGE-BANDWIDTH").parse::<u64>();
                match (peak, mean) {
                    (Ok(peak), Ok(mean)) if 0 < mean && mean <= peak => {}
                    _ => broken.push(format!("no sound bandwidths: {line}")),
                }
                let codecs = attribute("CODECS");
                if codecs.is_empty() {
                    broken.push(format!("no CODECS: {line}"));
                }
                let size: Vec<_> = attribute("RESOLUTION").split('x').collect();
                let sized = matches!(size.as_slice(), [w, h]
                    if [w, h].iter().all(|n| n.parse().is_ok_and(|n: u32| n > 0)));
                if codecs.contains("avc1") && !sized {
                    broken.push(format!("pictures without RESOLUTION: {line}"));
                }
                let group = attribute("AUDIO");
                if !group.is_empty() && !groups.iter().any(|g| g == group) {
                    broken.push(format!("the group {group:?} is not defined before its use"));
                }
                match lines.next() {
                    Some(uri) if !uri.starts_with('#') => uris.push(uri.to_owned()),
                    _ => broken.push(format!("a variant without an address: {line}")),
                }
            }
            _ => broken.push(format!("an unknown tag or a stray line: {line:?}")),
        }
    }
    uris.sort();
    if uris.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        broken.push("an address stands twice".to_owned());
    }
    broken
}

/// `NAME=value,NAME="quoted, value"`.
fn attributes(list: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = list;
    while let Some((name, tail)) = rest.split_once('=') {
        let quoted = tail.strip_prefix('"').and_then(|t| t.split_once('"'));
        let (value, tail) =
            quoted.unwrap_or_else(|| tail.split_at(tail.find(',').unwrap_or(tail.len())));
        pairs.insert(name.to_owned(), value.to_owned());
        rest = tail.strip_prefix(',').unwrap_or(tail);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(first: u64, passed: u64, items: &[(&str, bool)]) -> String {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{passed}\n"
        );
        for (uri, discontinuity) in items {
            if *discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            text.push_str(&format!("#EXTINF:2.0,\n{uri}\n"));
        }
        text
    }

    const FOUR: [(&str, bool); 4] = [("a", false), ("b", true), ("c", false), ("d", false)];

    #[test]
    fn a_sliding_window_is_sound() {
        let mut follower = Follower::default();
        assert_eq!(follower.next(&list(0, 0, &FOUR)), [""; 0]);
        assert_eq!(follower.next(&list(1, 0, &FOUR[1..])), [""; 0]);
        let tail = [("c", false), ("d", false), ("e", false)];
        assert_eq!(follower.next(&list(2, 1, &tail)), [""; 0]);
    }

    #[test]
    fn what_is_broken_is_found() {
        let after = |text: &str| {
            let mut follower = Follower::default();
            assert_eq!(follower.next(&list(5, 1, &FOUR)), [""; 0]);
            follower.next(text).len()
        };
        assert_eq!(after(&list(4, 1, &FOUR)), 1, "a number that falls");
        assert_eq!(after(&list(5, 1, &FOUR[..3])), 1, "a segment that vanishes");
        assert_eq!(after(&list(7, 1, &FOUR[2..])), 2, "no count, and too short");
        let other = [("a", false), ("b", true), ("x", false), ("d", false)];
        assert_eq!(after(&list(5, 1, &other)), 1, "an entry that changes");
        assert_eq!(after(&list(5, 1, &FOUR).replace(":2\n", ":3\n")), 1);
        let long = list(5, 1, &FOUR).replace("2.0,\nd", "2.5,\nd");
        assert_eq!(after(&long), 2, "too long, and changed");
        assert_eq!(after("#EXTM3U\nx\n"), 4);
    }

    #[test]
    fn a_master_playlist_needs_its_attributes() {
        let sound = "#EXTM3U\n#EXT-X-VERSION:3\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",URI=\"audio.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"avc1.64001f,mp4a.40.2\",\
            RESOLUTION=640x360,AUDIO=\"audio\"\nsource.m3u8\n";
        assert_eq!(master(sound), [""; 0]);
        assert_eq!(master(&sound.replace("640x360", "640")).len(), 1);
        assert_eq!(master(&sound.replace("NAME=", "N=")).len(), 1);
        assert_eq!(
            master(&sound.replace("BANDWIDTH=2", "BANDWIDTH=0")).len(),
            1
        );
        assert_eq!(
            master(&sound.replace(",AUDIO=\"audio\"", ",AUDIO=\"x\"")).len(),
            1
        );
    }

    #[test]
    fn renditions_must_agree() {
        let (a, _) = Media::read(&list(5, 1, &FOUR));
        let (b, _) = Media::read(&list(6, 1, &FOUR[1..]));
        let (c, _) = Media::read(&list(6, 2, &FOUR[1..]));
        assert_eq!(agree(&[("a", &a), ("b", &b)]), [""; 0]);
        assert_eq!(agree(&[("a", &a), ("c", &c)]).len(), 3);
    }
}
