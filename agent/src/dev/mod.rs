//! A whole Rackcast on one machine, for those who try it, work on it or test it.
//!
//! An agent, an ingest and some transcode nodes run as they run anywhere else, as programs of
//! their own with configuration files of their own; this process starts them again when they die
//! and adds what a rack has and a laptop lacks: a catalog ([`rackcast_consul::catalog`]) and a
//! broadcaster.
//!
//! | Part | Started | Ended |
//! |---|---|---|
//! | catalog | first, within this process | last |
//! | agent | second | after the transcode nodes, so that it deregisters everything |
//! | transcode nodes | third | after the ingest |
//! | ingest | fourth | after the publisher |
//! | publisher (ffmpeg) | once the others are ready | first |
//!
//! Everything lies in one temporary folder that only this user can read. Whatever ends this
//! process, `kill -9` included, ends its children: see [`rackcast_service::process`].

mod family;
mod files;
mod options;
mod programs;
mod publisher;
mod ready;
mod report;
mod services;

use std::io;
use std::net::SocketAddr;

use rackcast_consul::catalog::Catalog;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use family::{Kin, Member, State};
pub use options::Options;
pub use programs::{Programs, ProgramsError};
pub use ready::NotReady;
pub use report::{Child, Report, Transcoder};

use files::Files;
use options::Mode;

/// Why it could not be started, or kept running until it was ready.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Two options that do not go together.
    #[error("{0}")]
    Options(String),
    /// A program is missing.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// An address is taken or not this machine's.
    #[error(
        "{option} {address} cannot be used: {source}; choose another, or port 0 for a free one"
    )]
    Address {
        /// The option that names it.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The temporary folder or a file in it cannot be written.
    #[error("the temporary folder cannot be used: {0}")]
    Files(io::Error),
    /// It does not get ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
}

/// Runs until `shutdown`.
///
/// # Errors
/// It did not become ready; everything that was started has been ended again.
pub async fn run(
    options: Options,
    programs: impl FnOnce() -> Result<Programs, ProgramsError>,
    shutdown: CancellationToken,
) -> Result<(), DevError> {
    match options.mode().map_err(DevError::Options)? {
        Mode::CatalogOnly(address) => catalog_only(address, shutdown).await,
        Mode::OwnCatalog => {
            let (catalog, serving) = Serving::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
            let url = format!("http://{catalog}");
            let result = rack(&options, &url, "rackcast", &programs()?, shutdown).await;
            serving.stop().await;
            result
        }
        Mode::Consul(url) => rack(&options, &url, "rackcast-dev", &programs()?, shutdown).await,
    }
}

async fn catalog_only(address: SocketAddr, shutdown: CancellationToken) -> Result<(), DevError> {
    let (address, serving) = Serving::start(address).await?;
    report::print(&serde_json::json!({ "consul": format!("http://{address}") }));
    shutdown.cancelled().await;
    serving.stop().await;
    Ok(())
}

/// The rack itself, on the catalog at `consul` under service names that begin with `prefix`.
async fn rack(
    options: &Options,
    consul: &str,
    prefix: &str,
    programs: &Programs,
    shutdown: CancellationToken,
) -> Result<(), DevError> {
    check_free("--rtmp", options.rtmp).await?;
    check_free("--http", options.http).await?;
    let files = Files::create(options, consul, prefix).map_err(DevError::Files)?;
    let mut kin = Kin::start(programs, &files, options);
    let result =
        shutdown.run_until_cancelled(get_ready(options, consul, &files, programs, &mut kin));
    match result.await {
        Some(Ok(report)) => {
            report::print(&report);
            shutdown.cancelled().await;
            kin.stop().await;
            Ok(())
        }
        Some(Err(error)) => {
            kin.stop().await;
            Err(error)
        }
        None => {
            kin.stop().await;
            Ok(())
        }
    }
}

async fn get_ready(
    options: &Options,
    consul: &str,
    files: &Files,
    programs: &Programs,
    kin: &mut Kin,
) -> Result<Report, DevError> {
    let services = ready::services(consul, files, kin).await?;
    let mut report = Report::new(consul, &services, kin);
    files.keep_addresses(&services).map_err(DevError::Files)?;
    if !options.no_publisher {
        let stream = report.stream_address();
        kin.publish(publisher::member(
            &programs.ffmpeg,
            &report.publish_address(),
        ));
        ready::stream(&stream, kin).await?;
        report.stream = Some(stream);
    }
    Ok(report)
}

/// An address that is taken is better found here than by a child that is started in vain. Another
/// process may still take it in between; then the child says so.
async fn check_free(option: &'static str, address: SocketAddr) -> Result<(), DevError> {
    let bound = TcpListener::bind(address).await;
    bound.map(drop).map_err(|source| DevError::Address {
        option,
        address,
        source,
    })
}

/// The development catalog, served beside the rest.
struct Serving {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Serving {
    async fn start(address: SocketAddr) -> Result<(SocketAddr, Self), DevError> {
        let catalog = Catalog::bind(address)
            .await
            .map_err(|source| DevError::Address {
                option: "--consul",
                address,
                source,
            })?;
        let (address, shutdown) = (catalog.addr(), CancellationToken::new());
        let task = tokio::spawn(catalog.serve(shutdown.clone()));
        Ok((address, Self { task, shutdown }))
    }

    async fn stop(self) {
        self.shutdown.cancel();
        if let Err(error) = self.task.await {
            log::error!("the catalog ended before its time: {error}");
        }
    }
}
