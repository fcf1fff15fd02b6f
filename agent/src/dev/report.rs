//! The one line of JSON that says where everything is.

use std::io::{self, Write};

use serde::Serialize;

use super::Kin;
use super::services::Services;

/// The stream that is published.
const STREAM: &str = "live/test";

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Base address of the catalog.
    pub consul: String,
    /// Base address for publishers.
    pub rtmp: String,
    /// Base address for players.
    pub hls: String,
    /// The master playlist of the test picture, if there is one.
    pub stream: Option<String>,
    /// The agent.
    pub agent: Child,
    /// The ingest's supervisor.
    pub ingest: Child,
    /// The transcode nodes.
    pub transcoders: Vec<Transcoder>,
}

/// A child.
#[derive(Debug, Clone, Serialize)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
}

/// A transcode node.
#[derive(Debug, Clone, Serialize)]
pub struct Transcoder {
    /// Its ID in the catalog.
    pub id: String,
    /// Where it takes segments.
    pub url: String,
    /// The process id of its supervisor.
    pub pid: u32,
}

impl Report {
    /// Without a stream, so far.
    pub(super) fn new(consul: &str, services: &Services, kin: &Kin) -> Self {
        let (agent, ingest, pids) = kin.pids();
        let transcoders = services
            .transcoders
            .iter()
            .zip(pids)
            .map(|((id, at), pid)| Transcoder {
                id: id.clone(),
                url: format!("http://{at}"),
                pid,
            });
        Self {
            consul: consul.to_owned(),
            rtmp: format!("rtmp://{}", services.rtmp),
            hls: format!("http://{}", services.http),
            stream: None,
            agent: Child { pid: agent },
            ingest: Child { pid: ingest },
            transcoders: transcoders.collect(),
        }
    }

    /// Where the test picture is published.
    pub(super) fn publish_address(&self) -> String {
        format!("{}/{STREAM}", self.rtmp)
    }

    /// The master playlist of the test picture.
    pub(super) fn stream_address(&self) -> String {
        format!("{}/{STREAM}/master.m3u8", self.hls)
    }
}

/// Prints one line of JSON. A reader that has gone away wants none.
pub(super) fn print(line: &impl Serialize) {
    match serde_json::to_string(line) {
        Ok(line) => {
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
        Err(error) => log::error!("the line of JSON could not be made: {error}"),
    }
}
