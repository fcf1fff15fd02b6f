use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use nix::sys::signal::Signal;
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::multipart::{Limits, Part, Reader};
use tempfile::TempDir;

use super::{NODE, START, daemon, edit, metric, ready};
use crate::dev::free_address;
use crate::http::{Answer, Http, LIMIT};
use crate::process::{Process, children, kill9, signal};

/// A running `rackcast-transcode`.
#[derive(Debug)]
pub struct Node {
    /// Base address of its segment endpoint.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    /// Address of its metrics.
    pub admin: String,
    /// Its status socket, for an agent.
    pub socket: PathBuf,
    http: Http,
    process: Process,
    file: PathBuf,
    _dir: TempDir,
}

impl Node {
    /// Starts one; `extra` is added to its configuration.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(extra: &str) -> Self {
        Self::numbered(1, extra).await
    }

    /// Starts one that the catalog tells from others on this machine by its number.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn numbered(instance: usize, extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (listen, admin) = (free_address(), free_address());
        let socket = dir.path().join("transcode.sock");
        let config = format!(
            "instance = \"{instance}\"\nnode = {NODE:?}\nstatus_socket = {socket:?}\n\
             [listen]\nsegments = {listen:?}\nadmin = {admin:?}\n{extra}\n"
        );
        let file = dir.path().join("transcode.toml");
        std::fs::write(&file, config).unwrap();
        let mut process = daemon("rackcast-transcode", &file);
        ready(&mut process, &admin, Duration::from_secs(60)).await;
        Self {
            url: format!("http://{listen}"),
            address: listen.parse().unwrap(),
            admin,
            socket,
            http: Http::prior_knowledge(),
            process,
            file,
            _dir: dir,
        }
    }

    /// `kill -9`, and another one in its place, with its addresses.
    ///
    /// # Panics
    /// It does not become ready again.
    pub async fn restart(&mut self) {
        kill9(self.process.pid());
        self.process.wait(START);
        self.process = daemon("rackcast-transcode", &self.file);
        ready(&mut self.process, &self.admin, Duration::from_secs(60)).await;
    }

    /// Replaces text of the configuration file; the daemon does not learn of it.
    ///
    /// # Panics
    /// It cannot be read or written.
    pub fn edit(&self, text: &str, by: &str) {
        edit(&self.file, text, by);
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// All of its processes: the supervisor and the workers.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = children(self.pid(), "rackcast-transcode");
        pids.push(self.pid());
        pids
    }

    /// Jobs that it has admitted so far.
    ///
    /// # Panics
    /// There are no metrics.
    pub async fn admitted(&self) -> u64 {
        let name = "rackcast_transcode_jobs_admitted_total";
        metric(&self.admin, name, &[]).await as u64
    }

    /// What it has written.
    pub fn log(&self) -> String {
        self.process.output().lines().join("\n")
    }

    /// The sum of a metric over those of its label sets that contain all of these texts.
    ///
    /// # Panics
    /// There are no metrics.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(&self.admin, name, labels).await
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
        let answer = self.send(job, body).await?;
        renditions(answer.header("content-type"), answer.body.clone())
    }

    /// Sends one job; the answer, which is its 200.
    ///
    /// # Errors
    /// What the node answered instead.
    pub async fn send(&self, job: &Job, body: Bytes) -> Result<Answer, String> {
        let headers = job.to_headers().unwrap();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let url = format!("{}{SEGMENTS_PATH}", self.url);
        // At the deadline it says what was the matter.
        let http = self.http.within(job.deadline + LIMIT);
        let answer = http.send(Method::POST, &url, &headers, body).await?;
        match answer.status == 200 {
            true => Ok(answer),
            false => Err(format!("{}: {}", answer.status, answer.text())),
        }
    }
}

/// The renditions of a node's answer, whole.
///
/// # Errors
/// It says that the job failed, or makes no sense.
pub fn renditions(content_type: &str, body: Bytes) -> Result<Vec<(RenditionName, Bytes)>, String> {
    let mut reader = Reader::new(content_type, Limits::default()).map_err(|e| e.to_string())?;
    reader.push(body);
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
