//! Waits until everything is ready: each service by its own word and in the catalog, and then the
//! stream in every rendition.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rackcast_consul::client::{Client, Config, HealthQuery};
use rackcast_service::status;
use url::Url;

use super::Kin;
use super::files::Files;
use super::services::Services;

/// How long everything may take: a worker process loads its plugins, and two cores are busy.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a playlist may take, and how large it may be.
const PLAYLIST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_PLAYLIST: usize = 1 << 20;

/// Why it did not get ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// A child ended while it started.
    #[error("{0} {1} while it started: its log above says why")]
    Ended(String, String),
    /// It takes too long.
    #[error("not ready within {LIMIT:?}: {0}")]
    TimedOut(String),
    /// The address of the catalog cannot be used.
    #[error("--consul: {0}")]
    Consul(#[from] rackcast_consul::client::Error),
}

/// Waits for the services.
pub(super) async fn services(consul: &str, files: &Files, kin: &Kin) -> Result<Services, NotReady> {
    let client = Client::new(&Config {
        address: consul.to_owned(),
        ..Config::default()
    })?;
    until(kin, || look_at_services(&client, files)).await
}

/// Waits until each variant of a master playlist lists a segment.
pub(super) async fn stream(master: &str, kin: &Kin) -> Result<(), NotReady> {
    let http = Http::builder(TokioExecutor::new()).build_http();
    until(kin, || look_at_stream(&http, master)).await
}

/// Looks again and again; what a look lacks is told if the time runs out.
async fn until<T, F>(kin: &Kin, mut look: impl FnMut() -> F) -> Result<T, NotReady>
where
    F: Future<Output = Result<T, String>>,
{
    let mut lacking = "nothing was looked at".to_owned();
    let looking = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(what) => lacking = what,
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::select! {
        found = tokio::time::timeout(LIMIT, looking) => found,
        (name, how) = kin.any_end() => return Err(NotReady::Ended(name, how)),
    };
    found.map_err(|_| NotReady::TimedOut(lacking))
}

async fn look_at_services(client: &Client, files: &Files) -> Result<Services, String> {
    let mut endpoints = Vec::new();
    for (socket, name, id) in files.expected() {
        let status = status::fetch(&socket)
            .await
            .map_err(|error| format!("{id}: {error}"))?;
        if !status.ready {
            return Err(format!("{id} is not ready: {}", status.health.summary));
        }
        let query = HealthQuery {
            service: &name,
            passing_only: true,
            ..HealthQuery::default()
        };
        let passing = client
            .health_service(&query)
            .await
            .map_err(|error| error.to_string())?;
        if !passing.value.iter().any(|instance| instance.id == id) {
            return Err(format!("{id} is not passing in the catalog"));
        }
        endpoints.push((id, status.endpoints));
    }
    let mut endpoints = endpoints.into_iter();
    let (ingest, at) = endpoints.next().ok_or("there is no ingest")?;
    Ok(Services {
        rtmp: endpoint(&ingest, &at, "rtmp")?,
        http: endpoint(&ingest, &at, "http")?,
        transcoders: endpoints
            .map(|(id, at)| endpoint(&id, &at, "segments").map(|at| (id, at)))
            .collect::<Result<_, _>>()?,
    })
}

/// An endpoint as it is reached from this machine.
fn endpoint(
    id: &str,
    endpoints: &BTreeMap<String, SocketAddr>,
    purpose: &str,
) -> Result<SocketAddr, String> {
    let at = endpoints
        .get(purpose)
        .ok_or_else(|| format!("{id} has no endpoint {purpose:?}"))?;
    let ip = if at.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        at.ip()
    };
    Ok(SocketAddr::new(ip, at.port()))
}

type Player = Http<HttpConnector, Empty<Bytes>>;

async fn look_at_stream(http: &Player, master: &str) -> Result<(), String> {
    let base = Url::parse(master).map_err(|error| error.to_string())?;
    let playlist = playlist(http, &base).await?;
    let variants: Vec<_> = addresses(&playlist).collect();
    if variants.len() < 2 {
        return Err(format!("{master} has no transcoded rendition"));
    }
    for variant in variants {
        let variant = base.join(variant).map_err(|error| error.to_string())?;
        let media = self::playlist(http, &variant).await?;
        if !has_segment(&media) {
            return Err(format!("{variant} has no segment yet"));
        }
    }
    Ok(())
}

async fn playlist(http: &Player, address: &Url) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{address}: {error}");
    let uri = address
        .as_str()
        .parse()
        .map_err(|error: http::uri::InvalidUri| failed(&error))?;
    let exchange = async {
        let answer = http.get(uri).await.map_err(|error| failed(&error))?;
        if !answer.status().is_success() {
            return Err(failed(&answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_PLAYLIST)
            .collect()
            .await;
        let body = body.map_err(|error| failed(&error))?.to_bytes();
        String::from_utf8(body.into()).map_err(|error| failed(&error))
    };
    let answered = tokio::time::timeout(PLAYLIST_TIMEOUT, exchange).await;
    answered.unwrap_or_else(|_| Err(failed(&"no answer")))
}

/// What a playlist refers to outside its tags.
fn addresses(playlist: &str) -> impl Iterator<Item = &str> {
    playlist
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a media playlist lists a segment that is no gap.
fn has_segment(playlist: &str) -> bool {
    let mut gap = false;
    playlist.lines().any(|line| {
        gap |= line == "#EXT-X-GAP";
        let address = !line.is_empty() && !line.starts_with('#');
        address && !std::mem::take(&mut gap)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_no_segment() {
        assert!(!has_segment("#EXTM3U\n#EXTINF:2,\n#EXT-X-GAP\n0.ts\n"));
        assert!(has_segment(
            "#EXTM3U\n#EXTINF:2,\n#EXT-X-GAP\n0.ts\n#EXTINF:2,\n1.ts\n"
        ));
        assert!(has_segment("#EXTM3U\n#EXTINF:2,\n0.ts\n"));
        assert!(!has_segment("#EXTM3U\n"));
    }
}
