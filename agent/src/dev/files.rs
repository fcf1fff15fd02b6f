//! The temporary folder and the configuration files in it.
//!
//! The folder is removed at the end. A run that was killed could not do that, so the next one
//! does: a lock, which the system lets go with its process, tells a folder in use from one that
//! was left behind.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use toml::{Table, toml};

use super::Options;
use super::services::Services;

const PREFIX: &str = "rackcast-dev-";
const LOCK: &str = "lock";

/// Everything that one run keeps on disk; removed when dropped.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
    node: String,
    prefix: String,
    ingest: Table,
    transcoders: u32,
    _lock: File,
}

impl Files {
    /// Writes a configuration file for each child.
    pub(super) fn create(options: &Options, consul: &str, prefix: &str) -> io::Result<Self> {
        remove_left_behind();
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.try_lock()?;
        for name in ["run", "state"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let node = rackcast_service::host::name();
        let mut files = Self {
            folder,
            node,
            prefix: prefix.to_owned(),
            ingest: Table::new(),
            transcoders: options.transcoders,
            _lock: lock,
        };
        files.write("agent", &files.agent(consul))?;
        files.ingest = files.ingest(options, consul);
        files.write("ingest", &files.ingest)?;
        for number in 1..=options.transcoders {
            files.write(
                &format!("transcode-{number}"),
                &files.transcode(number, consul),
            )?;
        }
        Ok(files)
    }

    /// The configuration file of a child.
    pub(super) fn config(&self, child: &str) -> PathBuf {
        self.folder.path().join(child).with_extension("toml")
    }

    /// The status socket of a child.
    pub(super) fn socket(&self, child: &str) -> PathBuf {
        self.folder
            .path()
            .join("run")
            .join(child)
            .with_extension("sock")
    }

    /// The services that are to be registered: status socket, name and ID in the catalog.
    pub(super) fn expected(&self) -> Vec<(PathBuf, String, String)> {
        let ingest = ("ingest".to_owned(), "ingest".to_owned(), 1);
        let transcoders = (1..=self.transcoders).map(|number| {
            (
                format!("transcode-{number}"),
                "transcode".to_owned(),
                number,
            )
        });
        std::iter::once(ingest)
            .chain(transcoders)
            .map(|(child, role, number)| {
                let name = format!("{}-{role}", self.prefix);
                let id = format!("{name}-{}-{number}", self.node);
                (self.socket(&child), name, id)
            })
            .collect()
    }

    /// Writes the addresses that the ingest got for port 0 into its file, so that it has the same
    /// ones when it is started again.
    pub(super) fn keep_addresses(&self, services: &Services) -> io::Result<()> {
        let (rtmp, http) = (services.rtmp, services.http);
        let mut ingest = self.ingest.clone();
        ingest.insert("listen".to_owned(), listen(rtmp, http).into());
        self.write("ingest", &ingest)
    }

    fn write(&self, child: &str, config: &Table) -> io::Result<()> {
        fs::write(self.config(child), config.to_string())
    }

    /// Looks closely: a developer does not want to wait.
    fn agent(&self, consul: &str) -> Table {
        let (node, prefix) = (self.node.as_str(), self.prefix.as_str());
        let owner = format!("rackcast-dev-{node}");
        let (folder, socket) = (
            text(&self.folder.path().join("run")),
            text(&self.socket("agent")),
        );
        toml! {
            node = node
            zone = "dev"
            owner = owner
            service_prefix = prefix
            socket_dir = folder
            status_socket = socket
            admin = "127.0.0.1:0"
            [consul]
            address = consul
            [check]
            http_interval = "1s"
        }
    }

    /// Anyone may publish: it listens on loopback unless told otherwise.
    fn ingest(&self, options: &Options, consul: &str) -> Table {
        let (node, prefix) = (self.node.as_str(), self.prefix.as_str());
        let (state, socket) = (
            text(&self.folder.path().join("state")),
            text(&self.socket("ingest")),
        );
        let addresses = listen(options.rtmp, options.http);
        let mut config = toml! {
            node = node
            zone = "dev"
            service_prefix = prefix
            state_dir = state
            status_socket = socket
            listen = addresses
            [consul]
            address = consul
            [auth]
            mode = "open"
            [supervisor]
            stop_grace = "2s"
        };
        if let Some(ladder) = &options.ladder {
            let ladder = ladder.to_string();
            config.insert("stream".to_owned(), toml! { ladder = ladder }.into());
        }
        config
    }

    /// One worker with one thread: as many nodes as there are share the CPU evenly.
    fn transcode(&self, number: u32, consul: &str) -> Table {
        let (node, instance) = (self.node.as_str(), number.to_string());
        let socket = text(&self.socket(&format!("transcode-{number}")));
        toml! {
            node = node
            instance = instance
            status_socket = socket
            drain_timeout = "2s"
            [listen]
            segments = "127.0.0.1:0"
            admin = "127.0.0.1:0"
            [consul]
            address = consul
            [worker]
            count = 1
            [encoder]
            threads = 1
        }
    }
}

/// Removes the folders of runs that were killed, as far as they are this user's.
fn remove_left_behind() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            log::warn!(
                "{} was left behind and stays: {error}",
                entry.path().display()
            );
        }
    }
}

fn listen(rtmp: SocketAddr, http: SocketAddr) -> Table {
    let (rtmp, http) = (rtmp.to_string(), http.to_string());
    toml! {
        rtmp = rtmp
        http = http
        admin = "127.0.0.1:0"
    }
}

/// TOML has no other text than UTF-8. A temporary folder of another name would not be found, and
/// the child would say so.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
