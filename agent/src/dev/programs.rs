//! The programs that are run: ours beside this one, ffmpeg from the path.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use super::Options;

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// It is not where it belongs.
    #[error("{name} is not in {}: build or install it there", folder.display())]
    Missing {
        /// The program.
        name: &'static str,
        /// Where this program lies.
        folder: PathBuf,
    },
    /// ffmpeg is not installed.
    #[error("ffmpeg is not in the path: install it (apt install ffmpeg), or use --no-publisher")]
    Ffmpeg,
    /// The system does not tell where this program lies.
    #[error("cannot find the folder of this program: {0}")]
    Own(#[from] io::Error),
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `rackcast-agent`.
    pub agent: PathBuf,
    /// `rackcast-ingest`.
    pub ingest: PathBuf,
    /// `rackcast-transcode`.
    pub transcode: PathBuf,
    /// `ffmpeg`, found only if it will be used.
    pub ffmpeg: PathBuf,
}

impl Programs {
    /// Finds those that `options` need.
    ///
    /// # Errors
    /// The first that is missing.
    pub fn find(options: &Options) -> Result<Self, ProgramsError> {
        let own = env::current_exe()?;
        let folder = own.parent().unwrap_or(Path::new("/"));
        let beside = |name| {
            let path = folder.join(name);
            match path.is_file() {
                true => Ok(path),
                false => Err(ProgramsError::Missing {
                    name,
                    folder: folder.to_owned(),
                }),
            }
        };
        Ok(Self {
            agent: beside("rackcast-agent")?,
            ingest: beside("rackcast-ingest")?,
            transcode: beside("rackcast-transcode")?,
            ffmpeg: match options.no_publisher {
                true => PathBuf::from("ffmpeg"),
                false => in_path("ffmpeg").ok_or(ProgramsError::Ffmpeg)?,
            },
        })
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
