//! Single daemons: a transcode node, spoken to as an ingest speaks to it, and an ingest without
//! any node.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::multipart::{Limits, Part, Reader};
use tempfile::TempDir;

use crate::dev::free_address;
use crate::http::Http;
use crate::process::{Process, program};
use crate::wait::wait_for;

/// A running `rackcast-transcode`.
#[derive(Debug)]
pub struct Node {
    /// Base address of its segment endpoint.
    pub url: String,
    http: Http,
    _process: Process,
    _dir: TempDir,
}

impl Node {
    /// Starts one; `extra` is added to its configuration.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (listen, admin) = (free_address(), free_address());
        let socket = dir.path().join("transcode.sock");
        let config = format!(
            "status_socket = {socket:?}\n[listen]\nsegments = {listen:?}\nadmin = {admin:?}\n{extra}\n"
        );
        let file = dir.path().join("transcode.toml");
        std::fs::write(&file, config).unwrap();
        let mut process = Process::start(
            Command::new(program("rackcast-transcode"))
                .arg("--config")
                .arg(&file),
        );
        let http = Http::prior_knowledge();
        wait_for("the node to be ready", Duration::from_secs(60), || {
            assert!(process.ended().is_none(), "the node ended while it started");
            let (http, url) = (Http::default(), format!("http://{admin}/readyz"));
            async move { (http.get(&url).await.ok()?.status == 200).then_some(()) }
        })
        .await;
        Self {
            url: format!("http://{listen}"),
            http,
            _process: process,
            _dir: dir,
        }
    }

    /// Sends one job; its renditions, whole.
    ///
    /// # Errors
    /// What the node answered instead.
    pub async fn transcode(
        &self,
        job: &Job,
        body: Bytes,
    ) -> Result<Vec<(RenditionName, Bytes)>, String> {
        let headers = job.to_headers().unwrap();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let url = format!("{}{SEGMENTS_PATH}", self.url);
        let answer = self.http.send(Method::POST, &url, &headers, body).await?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        let mut reader = Reader::new(answer.header("content-type"), Limits::default())
            .map_err(|e| e.to_string())?;
        reader.push(answer.body);
        let (mut renditions, mut end) = (Vec::new(), None);
        while let Some(part) = reader.next().map_err(|e| e.to_string())? {
            match part {
                Part::Rendition { head, body } => {
                    assert!(head.chunk == 0 && head.last, "{head:?}");
                    renditions.push((head.rendition, body));
                }
                Part::Summary(summary) => end = Some(summary),
            }
        }
        reader.finish().map_err(|e| e.to_string())?;
        match end.and_then(|summary| summary.failure) {
            Some(failure) => Err(failure.message),
            None => Ok(renditions),
        }
    }
}

/// A running `rackcast-ingest` that knows no transcode node.
#[derive(Debug)]
pub struct Ingest {
    /// Base address for publishers.
    pub rtmp: String,
    /// Base address for players.
    pub hls: String,
    process: Process,
    _dir: TempDir,
}

impl Ingest {
    /// Starts one; `extra` is added to its configuration.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (rtmp, http, admin) = (free_address(), free_address(), free_address());
        let (state, socket) = (dir.path().join("state"), dir.path().join("ingest.sock"));
        std::fs::create_dir(&state).unwrap();
        let config = format!(
            "state_dir = {state:?}\nstatus_socket = {socket:?}\n\
             [listen]\nrtmp = {rtmp:?}\nhttp = {http:?}\nadmin = {admin:?}\n\
             [consul]\naddress = \"http://127.0.0.1:1\"\n{extra}\n"
        );
        let file = dir.path().join("ingest.toml");
        std::fs::write(&file, config).unwrap();
        let mut process = Process::start(
            Command::new(program("rackcast-ingest"))
                .arg("--config")
                .arg(&file),
        );
        wait_for("the ingest to be ready", Duration::from_secs(30), || {
            assert!(
                process.ended().is_none(),
                "the ingest ended while it started"
            );
            let (http, url) = (Http::default(), format!("http://{admin}/readyz"));
            async move { (http.get(&url).await.ok()?.status == 200).then_some(()) }
        })
        .await;
        let (rtmp, hls) = (format!("rtmp://{rtmp}"), format!("http://{http}"));
        Self {
            rtmp,
            hls,
            process,
            _dir: dir,
        }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        self.process.output().lines().join("\n")
    }
}
