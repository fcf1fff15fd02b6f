//! A player that follows every rendition of a live stream at once and forgets nothing.
//!
//! It polls like a player, fetches each segment once as soon as it is listed, and notes
//! whatever a player could trip over: a rule of RFC 8216 that a playlist breaks, by itself, by
//! the way it follows its last version, or beside the other renditions; a number that is
//! skipped, an entry that changes after it was published, a listed address that cannot be
//! fetched, bytes that differ from those that an address gave before. Outages of the server are
//! noted and survived.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;
use url::Url;

use crate::hls::{self, Follower};
use crate::http::Http;
use crate::playlist::{Listed, Master, Media};
pub use crate::recording::{Recording, Seen, Track};
use crate::wait::{wait_for, wait_seeing, wait_until};

const POLL: Duration = Duration::from_millis(250);

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
        let broken = hls::master(&text);
        let master = Master::read(&url, &text);
        let mut playlists: Vec<Url> = master
            .variants
            .iter()
            .chain(&master.media)
            .map(|e| e.url.clone())
            .collect();
        playlists.sort();
        playlists.dedup();
        let recording = Arc::new(Mutex::new(Recording {
            master,
            playlists: playlists.len(),
            faults: broken.iter().map(|b| format!("{url}: {b}")).collect(),
            ..Recording::default()
        }));
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
    /// The limit passed, or the player itself has failed.
    pub async fn until(&self, what: &str, limit: Duration, done: impl Fn(&Recording) -> bool) {
        wait_until(what, limit, || {
            assert!(!self.task.is_finished(), "the player itself has failed");
            done(&self.recording.lock().unwrap())
        })
        .await;
    }

    /// Waits until every rendition has listed so many segments.
    ///
    /// # Panics
    /// It takes three times as long as it should.
    pub async fn segments(&self, count: usize) {
        self.reaches(count, limit(count)).await;
    }

    /// Waits until every rendition has listed so many segments more than now.
    ///
    /// # Panics
    /// It takes three times as long as it should.
    pub async fn more(&self, segments: usize) {
        let seen = self.recording.lock().unwrap().common();
        self.reaches(seen + segments, limit(segments)).await;
    }

    async fn reaches(&self, count: usize, limit: Duration) {
        let what = format!("{count} segments of every rendition");
        wait_seeing(&what, limit, || {
            let seen = self.recording.lock().unwrap();
            let is_there = seen.common() >= count;
            let of_each = seen.tracks.iter().map(|(name, t)| (name, t.len()));
            let instead = || format!("{:?}", of_each.collect::<BTreeMap<_, _>>());
            ready(is_there.then_some(()).ok_or_else(instead))
        })
        .await;
    }

    /// Plays to the end of so many renditions, within a minute: all that was seen.
    ///
    /// # Panics
    /// They do not end.
    pub async fn to_the_end(self, renditions: usize) -> Recording {
        self.until("EXT-X-ENDLIST", Duration::from_secs(60), |r| {
            r.tracks.len() == renditions && r.tracks.values().all(|t| t.ended)
        })
        .await;
        let recording = self.stop().await;
        recording.assert_sound();
        recording
    }

    /// Stops, asks every address that still answers a second time, and gives all that was seen.
    ///
    /// # Panics
    /// It had itself failed.
    pub async fn stop(mut self) -> Recording {
        self.task.abort();
        if let Err(e) = (&mut self.task).await
            && e.is_panic()
        {
            std::panic::resume_unwind(e.into_panic());
        }
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

/// For how long so many segments of two seconds are waited for.
fn limit(segments: usize) -> Duration {
    Duration::from_secs(20 + 6 * segments as u64)
}

async fn run(http: Http, playlists: Vec<Url>, recording: Arc<Mutex<Recording>>) {
    let mut rules = Rules::default();
    loop {
        let mut answered = true;
        for url in &playlists {
            if let Err(outage) = poll(&http, url, &mut rules, &recording).await {
                recording.lock().unwrap().outages.push(outage);
                answered = false;
            }
        }
        // After an outage some are of the stream's last life and some of its next.
        if answered {
            let broken = rules.agree();
            recording.lock().unwrap().faults.extend(broken);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Holds the playlists of a stream to RFC 8216 from version to version.
#[derive(Debug, Default)]
struct Rules {
    playlists: BTreeMap<Url, Follower>,
}

impl Rules {
    /// What is broken in the next version of a playlist, or in the way it follows the last.
    fn next(&mut self, url: &Url, text: &str) -> Vec<String> {
        let follower = self.playlists.entry(url.clone()).or_default();
        let broken = follower.next(text);
        broken
            .iter()
            .map(|b| format!("{}: {b} in {text:?}", url.path()))
            .collect()
    }

    /// In what the renditions contradict one another.
    fn agree(&self) -> Vec<String> {
        let latest: Vec<_> = self
            .playlists
            .iter()
            .filter_map(|(url, follower)| Some((url.path(), follower.last()?)))
            .collect();
        hls::agree(&latest)
    }
}

/// Reads one playlist and fetches what is new in it.
async fn poll(
    http: &Http,
    url: &Url,
    rules: &mut Rules,
    recording: &Mutex<Recording>,
) -> Result<(), String> {
    let answer = http.get(url.as_str()).await?;
    if answer.status != 200 {
        return Err(format!("{url}: {}", answer.status));
    }
    let broken = rules.next(url, answer.text());
    recording.lock().unwrap().faults.extend(broken);
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
    track.ended |= media.ended;
    let mut new = Vec::new();
    for listed in &media.segments {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;

    use super::*;

    const MASTER: &str = "#EXTM3U\n#EXT-X-VERSION:3\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"mp4a.40.2\"\naudio.m3u8\n";

    fn audio(numbers: std::ops::Range<u64>, end: &str) -> String {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            numbers.start
        );
        for n in numbers {
            text += &format!("#EXTINF:2.0,\n1/audio/{n}.ts\n");
        }
        text + end
    }

    /// A stream of `audio.m3u8` whose text can be changed.
    async fn serve(text: String) -> (String, Arc<Mutex<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let text = Arc::new(Mutex::new(text));
        let shown = Arc::clone(&text);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shown = Arc::clone(&shown);
                let answer = move |request: Request<_>| {
                    let (status, body) = answer(&request, &shown);
                    let mut response = Response::new(Full::new(Bytes::from(body)));
                    *response.status_mut() = status;
                    async move { Ok::<_, Infallible>(response) }
                };
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service_fn(answer)),
                );
            }
        });
        (format!("http://{address}/live/x/master.m3u8"), text)
    }

    fn answer(
        request: &Request<hyper::body::Incoming>,
        shown: &Mutex<String>,
    ) -> (StatusCode, String) {
        match request.uri().path().rsplit('/').next().unwrap() {
            "master.m3u8" => (StatusCode::OK, MASTER.to_owned()),
            "audio.m3u8" => (StatusCode::OK, shown.lock().unwrap().clone()),
            segment => (StatusCode::OK, segment.to_owned()),
        }
    }

    #[tokio::test]
    async fn a_playlist_that_keeps_the_rules_is_sound_and_one_that_breaks_them_is_not() {
        let (master, text) = serve(audio(5..9, "")).await;
        let player = Player::follow(&master).await;
        player.segments(4).await;
        *text.lock().unwrap() = audio(6..10, "#EXT-X-ENDLIST\n");
        player
            .until("the end", Duration::from_secs(20), |r| {
                r.track("audio").ended
            })
            .await;
        player.so_far().assert_sound();
        *text.lock().unwrap() = audio(6..11, "");
        player
            .until("a fault", Duration::from_secs(20), |r| !r.faults.is_empty())
            .await;
        let recording = player.stop().await;
        let found = &recording.faults[0];
        assert!(found.contains("changed after EXT-X-ENDLIST"), "{found}");
    }
}
