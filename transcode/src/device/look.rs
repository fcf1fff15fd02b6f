//! Looks for GPUs, in a process of its own.
//!
//! To ask GStreamer for elements loads plug-ins, and those load drivers: none of that belongs into
//! the process that listens. The registry in which GStreamer keeps what it found is not used, since
//! it may be of a time before the driver came.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use rackcast_service::process::Command;

use super::find::{self, Found};
use crate::{gpus, pipeline};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(20);
/// More is no list of devices.
const MAX_ANSWER: u64 = 1 << 20;

/// Why it is not known which GPUs there are.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The process could not be started, or heard.
    #[error("{0}")]
    Process(#[from] std::io::Error),
    /// It took too long.
    #[error("it took longer than {LIMIT:?}")]
    Slow,
    /// What it said is no list of devices.
    #[error("its answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Asks `program` (this one) which GPUs there are; nobody, if there is no node of any. `library` is that of
/// NVIDIA's driver, as in [`here`].
///
/// # Errors
/// It is not known; a node can go on without.
pub async fn ask(program: &Path, library: &str) -> Result<Vec<Found>, LookError> {
    let root = Path::new("/");
    if !find::has_nodes(root) {
        return Ok(Vec::new());
    }
    let (mut ours, theirs) = tokio::net::unix::pipe::pipe().map(|(w, r)| (r, w))?;
    let registry = std::env::temp_dir().join(format!("rackcast-look-{}", std::process::id()));
    let mut child = Command::new(program)
        .args(["devices", "--json"])
        .arg(format!("--driver-library={library}"))
        .env("GST_REGISTRY", &registry)
        .stdout(Stdio::from(theirs.into_blocking_fd()?))
        .spawn()?;
    let mut answer = Vec::new();
    let heard = timeout(LIMIT, async {
        (&mut ours)
            .take(MAX_ANSWER)
            .read_to_end(&mut answer)
            .await?;
        child.wait().await
    })
    .await;
    // GStreamer has written it, or not.
    let _ = std::fs::remove_file(&registry);
    heard.map_err(|_| LookError::Slow)??;
    Ok(serde_json::from_slice(&answer)?)
}

/// Looks in this process. What NVIDIA's driver calls its GPUs by is asked of `library`; of none, if that is
/// empty.
///
/// # Errors
/// GStreamer does not work here.
pub fn here(library: &str) -> Result<Vec<Found>, pipeline::PipelineError> {
    let (root, has) = (Path::new("/"), pipeline::element_look_up()?);
    let named = match library.is_empty() || !find::has_nvidia(root) {
        true => Vec::new(),
        false => gpus::named(library).unwrap_or_else(|why| {
            log::warn!("nodes are taken to be in the order of their GPUs: {why}");
            Vec::new()
        }),
    };
    Ok(find::find(root, has, &named))
}
