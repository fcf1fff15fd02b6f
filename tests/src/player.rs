//! A player that follows every rendition of a live stream at once and forgets nothing.
//!
//! It polls like a player, fetches each segment once as soon as it is listed, and notes
//! whatever a player could trip over: a number that is skipped, an entry that changes after it
//! was published, a listed address that cannot be fetched, bytes that differ from those that
//! an address gave before. Outages of the server are noted and survived.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;
use url::Url;

use crate::http::Http;
use crate::playlist::{Listed, Master, Media};
use crate::wait::{wait_for, wait_until};

const POLL: Duration = Duration::from_millis(250);

/// A segment as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As the playlist listed it first.
    pub listed: Listed,
    /// When that was.
    pub at: Instant,
    /// Its bytes; empty for a gap.
    pub body: Bytes,
}

/// All that was seen of one rendition.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// By media sequence number.
    pub segments: BTreeMap<u64, Seen>,
    /// `EXT-X-TARGETDURATION` of the first playlist.
    pub target_duration: u64,
    /// `EXT-X-ENDLIST` was seen.
    pub ended: bool,
}

impl Track {
    /// Sequence numbers of the gaps.
    pub fn gaps(&self) -> Vec<u64> {
        self.segments
            .values()
            .filter(|s| s.listed.gap)
            .map(|s| s.listed.sequence)
            .collect()
    }

    /// Sequence numbers between the first and the last that never stood in a playlist.
    pub fn holes(&self) -> Vec<u64> {
        let (Some((first, _)), Some((last, _))) = (
            self.segments.first_key_value(),
            self.segments.last_key_value(),
        ) else {
            return Vec::new();
        };
        (*first..*last)
            .filter(|n| !self.segments.contains_key(n))
            .collect()
    }

    /// All bytes in order.
    pub fn bytes(&self) -> Vec<u8> {
        self.segments
            .values()
            .flat_map(|s| s.body.iter().copied())
            .collect()
    }

    /// The longest that a player waited for the next segment.
    pub fn longest_wait(&self) -> Duration {
        let times: Vec<_> = self.segments.values().map(|s| s.at).collect();
        times
            .windows(2)
            .map(|w| w[1].duration_since(w[0]))
            .max()
            .unwrap_or_default()
    }

    /// Segments listed so far.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether nothing was listed so far.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// All that was seen of a stream.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The master playlist.
    pub master: Master,
    /// By the rendition's name in the addresses: `source`, `audio`, `240p`.
    pub tracks: BTreeMap<String, Track>,
    /// What a player could have tripped over.
    pub faults: Vec<String>,
    /// Requests that got no answer, or none that was good.
    pub outages: Vec<String>,
}

impl Recording {
    /// A rendition by its name.
    ///
    /// # Panics
    /// It was never listed.
    pub fn track(&self, name: &str) -> &Track {
        self.tracks
            .get(name)
            .unwrap_or_else(|| panic!("there is no rendition {name:?} in {:?}", self.tracks.keys()))
    }

    /// Names of the transcoded renditions.
    pub fn transcoded(&self) -> Vec<&str> {
        let own = ["source", "audio"];
        self.tracks
            .keys()
            .map(String::as_str)
            .filter(|n| !own.contains(n))
            .collect()
    }

    /// Segments that every rendition has listed.
    pub fn common(&self) -> usize {
        self.tracks.values().map(Track::len).min().unwrap_or(0)
    }

    /// Fails if a player could have tripped.
    ///
    /// # Panics
    /// It could.
    pub fn assert_sound(&self) {
        assert!(self.faults.is_empty(), "faults: {:#?}", self.faults);
    }

    /// All renditions agree on the length of every segment that both have, and on the timeline
    /// that it is on.
    ///
    /// # Panics
    /// Two of them do not.
    pub fn assert_in_step(&self) {
        let Some((first_name, first)) = self.tracks.first_key_value() else {
            return;
        };
        for (name, track) in &self.tracks {
            for (number, seen) in &track.segments {
                let Some(other) = first.segments.get(number) else {
                    continue;
                };
                let (a, b) = (&seen.listed, &other.listed);
                assert!(
                    (a.duration - b.duration).abs() < 0.1 && a.timeline == b.timeline,
                    "segment {number} is {a:?} in {name} and {b:?} in {first_name}"
                );
            }
        }
    }
}

/// A player at work.
#[derive(Debug)]
pub struct Player {
    recording: Arc<Mutex<Recording>>,
    http: Http,
    task: JoinHandle<()>,
}

impl Player {
    /// Waits until the master playlist is there and follows it from then on.
    ///
    /// # Panics
    /// The stream does not begin within 30 s.
    pub async fn follow(master: &str) -> Self {
        let url: Url = master.parse().unwrap();
        let http = Http::default();
        let text = wait_for(
            &format!("{url} to answer"),
            Duration::from_secs(30),
            || async {
                let answer = http.get(url.as_str()).await.ok()?;
                (answer.status == 200).then(|| answer.text().to_owned())
            },
        )
        .await;
        let master = Master::read(&url, &text);
        let recording = Arc::new(Mutex::new(Recording {
            master: master.clone(),
            ..Recording::default()
        }));
        let mut playlists: Vec<Url> = master
            .variants
            .iter()
            .chain(&master.media)
            .map(|e| e.url.clone())
            .collect();
        playlists.sort();
        playlists.dedup();
        let task = tokio::spawn(run(http.clone(), playlists, Arc::clone(&recording)));
        Self {
            recording,
            http,
            task,
        }
    }

    /// What it has seen so far.
    pub fn so_far(&self) -> Recording {
        self.recording.lock().unwrap().clone()
    }

    /// Waits for a state of what it has seen.
    ///
    /// # Panics
    /// The limit passed.
    pub async fn until(&self, what: &str, limit: Duration, done: impl Fn(&Recording) -> bool) {
        wait_until(what, limit, || done(&self.recording.lock().unwrap())).await;
    }

    /// Waits until every rendition has listed so many segments.
    ///
    /// # Panics
    /// It takes three times as long as it should.
    pub async fn segments(&self, count: usize) {
        let limit = Duration::from_secs(20 + 6 * count as u64);
        self.until(&format!("{count} segments"), limit, |r| r.common() >= count)
            .await;
    }

    /// Stops, asks every address that still answers a second time, and gives all that was seen.
    pub async fn stop(self) -> Recording {
        self.task.abort();
        let mut recording = self.so_far();
        let mut faults = Vec::new();
        for seen in recording.tracks.values().flat_map(|t| t.segments.values()) {
            if seen.listed.gap {
                continue;
            }
            let url = &seen.listed.url;
            if let Ok(answer) = self.http.get(url.as_str()).await
                && answer.status == 200
                && answer.body != seen.body
            {
                faults.push(format!("{url} gave other bytes the second time"));
            }
        }
        recording.faults.extend(faults);
        recording
    }
}

async fn run(http: Http, playlists: Vec<Url>, recording: Arc<Mutex<Recording>>) {
    loop {
        let polled = playlists.iter().map(|url| poll(&http, url, &recording));
        let mut polled: Vec<_> = polled.map(Box::pin).collect();
        for one in &mut polled {
            if let Err(outage) = one.await {
                recording.lock().unwrap().outages.push(outage);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Reads one playlist and fetches what is new in it.
async fn poll(http: &Http, url: &Url, recording: &Mutex<Recording>) -> Result<(), String> {
    let answer = http.get(url.as_str()).await?;
    if answer.status != 200 {
        return Err(format!("{url}: {}", answer.status));
    }
    let media = Media::read(url, answer.text());
    let Some(first) = media.segments.first() else {
        return Ok(());
    };
    let (_, name, _) = first.address();
    let new = note(&mut recording.lock().unwrap(), &name, &media);
    for listed in new {
        let at = Instant::now();
        let body = if listed.gap {
            Bytes::new()
        } else {
            fetch(http, &listed, recording).await?
        };
        let mut recording = recording.lock().unwrap();
        let track = recording.tracks.entry(name.clone()).or_default();
        track
            .segments
            .insert(listed.sequence, Seen { listed, at, body });
    }
    Ok(())
}

/// Compares a playlist with what is known of its rendition; gives what is new.
fn note(recording: &mut Recording, name: &str, media: &Media) -> Vec<Listed> {
    let track = recording.tracks.entry(name.to_owned()).or_default();
    let faults = &mut recording.faults;
    if track.target_duration == 0 {
        track.target_duration = media.target_duration;
    }
    if track.target_duration != media.target_duration {
        faults.push(format!(
            "{name}: the target duration became {}",
            media.target_duration
        ));
    }
    track.ended |= media.ended;
    let mut new = Vec::new();
    for listed in &media.segments {
        if listed.duration.round() > media.target_duration as f64 {
            faults.push(format!(
                "{name}: longer than the target duration: {listed:?}"
            ));
        }
        match track.segments.get(&listed.sequence).map(|s| &s.listed) {
            None => new.push(listed.clone()),
            Some(known) if known.url != listed.url || known.gap != listed.gap => {
                faults.push(format!("{name}: {known:?} became {listed:?}"));
            }
            Some(_) => {}
        }
    }
    let last = track
        .segments
        .last_key_value()
        .map(|(_, seen)| &seen.listed);
    if let (Some(last), Some(next)) = (last, new.first()) {
        let same_life = next.address().0 == last.address().0;
        let (before, after) = (last.sequence, next.sequence);
        if after < before || (same_life && after != before + 1) {
            faults.push(format!("{name}: {before} is followed by {after}"));
        }
        if !same_life && next.timeline <= last.timeline {
            faults.push(format!(
                "{name}: a new epoch on an old timeline: {last:?}, {next:?}"
            ));
        }
    }
    new
}

async fn fetch(http: &Http, l: &Listed, recording: &Mutex<Recording>) -> Result<Bytes, String> {
    let answer = http.get(l.url.as_str()).await?;
    if answer.status != 200 {
        let fault = format!("{} is listed and answers {}", l.url, answer.status);
        recording.lock().unwrap().faults.push(fault.clone());
        return Err(fault);
    }
    Ok(answer.body)
}
