//! Single daemons, each with a folder, addresses and a configuration of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use nix::sys::signal::Signal;
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::SEGMENTS_PATH;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::multipart::{Limits, Part, Reader};
use tempfile::TempDir;

use crate::dev::free_address;
use crate::http::Http;
use crate::process::{Process, children, kill9, program, signal};
use crate::wait::{wait_for, wait_until};

/// How long a daemon may take to become ready.
const START: Duration = Duration::from_secs(30);

/// What all daemons here call this machine, whatever it is called.
pub const NODE: &str = "rack-1";

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
        let headers = job.to_headers().unwrap();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let url = format!("{}{SEGMENTS_PATH}", self.url);
        let answer = self.http.send(Method::POST, &url, &headers, body).await?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        renditions(answer.header("content-type"), answer.body.clone())
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

/// A running `rackcast-ingest`.
#[derive(Debug)]
pub struct Ingest {
    /// Base address for publishers.
    pub rtmp: String,
    /// Base address for players.
    pub hls: String,
    /// The same two over TLS, where that was asked for.
    pub rtmps: String,
    /// For players.
    pub https: String,
    /// Base address of its metrics.
    pub admin: String,
    /// Its status socket, for an agent.
    pub socket: PathBuf,
    process: Process,
    file: PathBuf,
    config: String,
    _dir: TempDir,
}

impl Ingest {
    /// Starts one that knows no transcode node; `extra` is added to its configuration.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(extra: &str) -> Self {
        Self::on("http://127.0.0.1:1", 1, extra).await
    }

    /// Starts one that finds its nodes in a catalog, and is told from others on this machine by
    /// its number.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn on(consul: &str, instance: usize, extra: &str) -> Self {
        Self::of(&program("rackcast-ingest"), consul, instance, extra).await
    }

    /// Starts one that also takes publishers and players over TLS, with these tables, those of
    /// certificates and of Consul among them.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn secure(tables: &str) -> Self {
        let (rtmps, https) = (free_address(), free_address());
        let listen = format!("rtmps = {rtmps:?}\nhttps = {https:?}\n");
        let program = program("rackcast-ingest");
        let mut this = Self::with(&program, 1, &listen, tables).await;
        // By the name that certificates are for.
        let named = |scheme: &str, address: &str| {
            let port = address.rsplit_once(':').unwrap().1;
            format!("{scheme}://localhost:{port}")
        };
        (this.rtmps, this.https) = (named("rtmps", &rtmps), named("https", &https));
        this
    }

    /// Starts one with these tables alone, that of Consul among them.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn bare(tables: &str) -> Self {
        Self::with(&program("rackcast-ingest"), 1, "", tables).await
    }

    /// The same, from a program of the test's own.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn of(program: &Path, consul: &str, instance: usize, extra: &str) -> Self {
        let consul = format!("[consul]\naddress = {consul:?}\n");
        Self::with(program, instance, &consul, extra).await
    }

    /// `fixed` stays when the rest is replaced; it continues the table of addresses.
    async fn with(program: &Path, instance: usize, fixed: &str, extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (rtmp, http, admin) = (free_address(), free_address(), free_address());
        let (state, socket) = (dir.path().join("state"), dir.path().join("ingest.sock"));
        std::fs::create_dir(&state).unwrap();
        let config = format!(
            "instance = \"{instance}\"\nnode = {NODE:?}\nstate_dir = {state:?}\nstatus_socket = {socket:?}\n\
             [listen]\nrtmp = {rtmp:?}\nhttp = {http:?}\nadmin = {admin:?}\n{fixed}"
        );
        let file = dir.path().join("ingest.toml");
        std::fs::write(&file, format!("{config}{extra}\n")).unwrap();
        let mut process = Process::start(Command::new(program).arg("--config").arg(&file));
        ready(&mut process, &admin, START).await;
        Self {
            rtmp: format!("rtmp://{rtmp}"),
            hls: format!("http://{http}"),
            rtmps: String::new(),
            https: String::new(),
            admin,
            socket,
            process,
            file,
            config,
            _dir: dir,
        }
    }

    /// Writes another configuration file, with this added to what the test needs; the daemon does
    /// not learn of it.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, extra: &str) {
        std::fs::write(&self.file, format!("{}{extra}\n", self.config)).unwrap();
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

    /// The process ids of its generations.
    pub fn generations(&self) -> Vec<u32> {
        children(self.pid(), "generation")
    }

    /// Waits for a line of its log.
    ///
    /// # Panics
    /// It does not come in time.
    pub async fn log_line(&self, text: &str, limit: Duration) {
        let what = format!("the ingest's log to say {text:?}");
        wait_until(&what, limit, || self.process.output().find(text).is_some()).await;
    }

    /// `kill -9`, and another one in its place: with its addresses, its state and nothing else.
    ///
    /// # Panics
    /// It does not become ready again.
    pub async fn restart(&mut self) {
        kill9(self.process.pid());
        self.process.wait(START);
        self.process = daemon("rackcast-ingest", &self.file);
        ready(&mut self.process, &self.admin, START).await;
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written, since its last start.
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
}

fn edit(file: &Path, text: &str, by: &str) {
    let whole = std::fs::read_to_string(file).unwrap();
    assert!(whole.contains(text), "{text:?} is not in {whole}");
    std::fs::write(file, whole.replace(text, by)).unwrap();
}

async fn metric(admin: &str, name: &str, labels: &[&str]) -> f64 {
    let url = format!("http://{admin}/metrics");
    let answer = Http::default().get(&url).await.unwrap();
    let wanted = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let value = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
    answer.text().lines().filter(wanted).map(value).sum()
}

/// A running `rackcast-agent`.
#[derive(Debug)]
pub struct Agent {
    admin: String,
    process: Process,
    file: PathBuf,
    control: PathBuf,
    _dir: TempDir,
}

impl Agent {
    /// Starts one that registers the services with these status sockets.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start(consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        Self::of("", consul, zone, sockets).await
    }

    /// The same on a machine of this name; one of several that share a Consul agent.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn of(node: &str, consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        let consul = format!("[consul]\naddress = {consul:?}\n");
        Self::with(node, &consul, zone, sockets).await
    }

    /// The same, with this table for Consul.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn with(node: &str, consul: &str, zone: &str, sockets: &[&Path]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (admin, folder) = (free_address(), dir.path().join("run"));
        std::fs::create_dir(&folder).unwrap();
        let services: String = sockets
            .iter()
            .map(|socket| format!("[[service]]\nsocket = {socket:?}\n"))
            .collect();
        let config = format!(
            "node = {node:?}\nzone = {zone:?}\nsocket_dir = {folder:?}\nstatus_socket = {:?}\nadmin = {admin:?}\n\
             {services}{consul}",
            folder.join("agent.sock")
        );
        let file = dir.path().join("agent.toml");
        std::fs::write(&file, config).unwrap();
        let mut process = daemon("rackcast-agent", &file);
        ready(&mut process, &admin, START).await;
        Self {
            admin,
            process,
            file,
            control: folder.join("agent.control"),
            _dir: dir,
        }
    }

    /// `kill -9`, and another one in its place.
    ///
    /// # Panics
    /// It does not become ready again.
    pub async fn restart(&mut self) {
        kill9(self.process.pid());
        self.process.wait(START);
        self.process = daemon("rackcast-agent", &self.file);
        ready(&mut self.process, &self.admin, START).await;
    }

    /// The sum of a metric over those of its label sets that contain all of these texts.
    ///
    /// # Panics
    /// There are no metrics.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(&self.admin, name, labels).await
    }

    /// What `rackcast` prints when it is told to do this with the agent.
    ///
    /// # Panics
    /// It fails.
    pub fn rackcast(&self, args: &[&str]) -> String {
        let mut command = Command::new(program("rackcast"));
        let output = command.args(args).env("RACKCAST_CONTROL", &self.control);
        let output = output.output().unwrap();
        assert!(output.status.success(), "rackcast {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn daemon(name: &str, config: &Path) -> Process {
    Process::start(Command::new(program(name)).arg("--config").arg(config))
}

async fn ready(process: &mut Process, admin: &str, limit: Duration) {
    wait_for(&format!("{admin} to be ready"), limit, || {
        assert!(process.ended().is_none(), "it ended while it started");
        let (http, url) = (Http::default(), format!("http://{admin}/readyz"));
        async move { (http.get(&url).await.ok()?.status == 200).then_some(()) }
    })
    .await;
}
