//! Reading playlists as a player does: what it needs, and nothing of our own code.

use url::Url;

/// One entry of a master playlist: a variant or a rendition of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The attributes as they stand.
    pub attributes: Vec<(String, String)>,
    /// The media playlist.
    pub url: Url,
}

impl Entry {
    /// An attribute without its quotes, or the empty text.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// A master playlist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Master {
    /// `EXT-X-STREAM-INF`.
    pub variants: Vec<Entry>,
    /// `EXT-X-MEDIA` with an address of its own.
    pub media: Vec<Entry>,
}

impl Master {
    /// Reads one; `url` is where it came from.
    ///
    /// # Panics
    /// It is not a master playlist.
    pub fn read(url: &Url, text: &str) -> Self {
        assert!(text.starts_with("#EXTM3U"), "not a playlist: {text}");
        let mut master = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
                let url = url
                    .join(lines.next().expect("a variant has an address"))
                    .unwrap();
                master.variants.push(Entry {
                    attributes: attributes(list),
                    url,
                });
            } else if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
                let mut entry = Entry {
                    attributes: attributes(list),
                    url: url.clone(),
                };
                if !entry.attribute("URI").is_empty() {
                    entry.url = url.join(entry.attribute("URI")).unwrap();
                    master.media.push(entry);
                }
            }
        }
        master
    }
}

/// A segment as a media playlist lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Media sequence number.
    pub sequence: u64,
    /// Its address.
    pub url: Url,
    /// `EXTINF`, seconds.
    pub duration: f64,
    /// `EXT-X-GAP`.
    pub gap: bool,
    /// Discontinuity sequence number: segments of one number are on one timeline.
    pub timeline: u64,
}

impl Listed {
    /// Epoch, rendition and file of `/<app>/<stream>/<epoch>/<rendition>/<sequence>.ts`.
    ///
    /// # Panics
    /// The address has another form.
    pub fn address(&self) -> (u64, String, String) {
        let parts: Vec<&str> = self.url.path_segments().unwrap().collect();
        let [.., epoch, rendition, file] = parts.as_slice() else {
            panic!("{}", self.url)
        };
        let epoch = epoch
            .parse()
            .unwrap_or_else(|_| panic!("no epoch in {}", self.url));
        (epoch, (*rendition).to_owned(), (*file).to_owned())
    }
}

/// A media playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Media {
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
    /// The window.
    pub segments: Vec<Listed>,
}

impl Media {
    /// Reads one; `url` is where it came from.
    ///
    /// # Panics
    /// It is not a media playlist.
    pub fn read(url: &Url, text: &str) -> Self {
        assert!(text.starts_with("#EXTM3U"), "not a playlist: {text}");
        let mut media = Self::default();
        let (mut sequence, mut timeline) = (0, 0);
        let (mut duration, mut gap) = (None, false);
        for line in text.lines().filter(|l| !l.is_empty()) {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-MEDIA-SEQUENCE" => sequence = value.parse().unwrap(),
                "#EXTINF" => duration = value.split(',').next().unwrap().parse().ok(),
                "#EXT-X-GAP" => gap = true,
                "#EXT-X-DISCONTINUITY-SEQUENCE" => timeline = value.parse().unwrap(),
                "#EXT-X-DISCONTINUITY" => timeline += 1,
                "#EXT-X-ENDLIST" => media.ended = true,
                _ if line.starts_with('#') => {}
                _ => {
                    let url = url.join(line).unwrap();
                    let duration = duration.take().expect("a segment has EXTINF");
                    media.segments.push(Listed {
                        sequence,
                        url,
                        duration,
                        gap,
                        timeline,
                    });
                    (sequence, gap) = (sequence + 1, false);
                }
            }
        }
        media
    }
}

/// `NAME=value,NAME="quoted, value"`.
fn attributes(list: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = list;
    while let Some((name, tail)) = rest.split_once('=') {
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a closing quote"),
            None => tail.split_at(tail.find(',').unwrap_or(tail.len())),
        };
        pairs.push((name.to_owned(), value.to_owned()));
        rest = tail.strip_prefix(',').unwrap_or(tail);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_playlist_with_a_group() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"audio.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"\nv.m3u8\n";
        let master = Master::read(&"http://h/live/x/master.m3u8".parse().unwrap(), text);
        assert_eq!(master.media[0].url.path(), "/live/x/audio.m3u8");
        assert_eq!(
            master.variants[0].attribute("CODECS"),
            "avc1.64001f,mp4a.40.2"
        );
        assert_eq!(master.variants[0].attribute("AUDIO"), "a");
    }

    #[test]
    fn a_media_playlist_with_a_gap() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:4\n\
            #EXTINF:2.0,\n1/240p/7.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:1.5,\n1/240p/8.ts\n";
        let media = Media::read(&"http://h/live/x/240p.m3u8".parse().unwrap(), text);
        assert_eq!(media.segments[1].sequence, 8);
        assert!(media.segments[1].gap);
        assert_eq!(
            media
                .segments
                .iter()
                .map(|s| s.timeline)
                .collect::<Vec<_>>(),
            [4, 5]
        );
        assert_eq!(
            media.segments[0].address(),
            (1, "240p".to_owned(), "7.ts".to_owned())
        );
    }
}
