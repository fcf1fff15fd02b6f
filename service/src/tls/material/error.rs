//! What can be wrong with certificates, in words for whoever put them there.

use std::io;
use std::path::PathBuf;

/// What is wrong with the files. None of it mends itself: somebody must put other files there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A key of the configuration is missing, superfluous, or out of its range.
    #[error("{0}")]
    Config(&'static str),
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    KeyMismatch {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificate.
        certificate: PathBuf,
    },
    /// A certificate is not valid now.
    #[error("{}: {what}", path.display())]
    Time {
        /// The file.
        path: PathBuf,
        /// Since when, or until when.
        what: String,
    },
    /// The certificate names nobody, or somebody else.
    #[error("{}: {what}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What it says and what it should say.
        what: String,
    },
    /// Peers with these authorities would refuse the certificate.
    #[error("{}: no authority in {} vouches for it: {what}", certificate.display(), authorities.display())]
    Untrusted {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the authorities.
        authorities: PathBuf,
        /// Why not.
        what: String,
    },
}
