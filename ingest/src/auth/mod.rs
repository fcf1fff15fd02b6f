//! May this publisher publish, and under what name?
//!
//! Three modes, chosen explicitly. `table` (the default, and with an empty table nobody may
//! publish) compares keys with the configuration; `webhook` asks an HTTP service, which may
//! also choose the name and the ladder; `open` lets anyone in, for development.
//!
//! A key comes as `name?key=KEY`, or alone in the place of the name; the second form needs a
//! table entry or a webhook that says which stream it opens, so that a key never becomes a
//! public name. Keys are compared in constant time and appear in no log and no `Debug` output.

mod config;
mod key;
mod table;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use rackcast_segment::id::{AppName, InvalidName, StreamName};
use rackcast_segment::ladder::Ladder;

pub use config::{Config, Entry, Mode, WebhookConfig};
pub use key::Key;

/// A publisher at the door.
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    /// The application.
    pub app: &'a AppName,
    /// Name and query as they came; may be or contain a key.
    pub name_and_query: &'a str,
    /// The publisher's address.
    pub peer: SocketAddr,
    /// Which protocol it came by.
    pub protocol: &'a str,
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("app", &self.app)
            .field("peer", &self.peer)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl<'a> AuthRequest<'a> {
    /// What stands before the first `?`: a name, or a key alone.
    fn path(&self) -> &'a str {
        self.name_and_query
            .split_once('?')
            .map_or(self.name_and_query, |(path, _)| path)
    }

    /// What stands after it.
    fn query(&self) -> Option<&'a str> {
        self.name_and_query.split_once('?').map(|(_, query)| query)
    }

    /// The first `key` of the query, decoded.
    fn key(&self) -> Option<Key> {
        url::form_urlencoded::parse(self.query()?.as_bytes())
            .find(|(name, _)| name == "key")
            .map(|(_, value)| Key::new(&value))
    }
}

/// Leave to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The stream's public name.
    pub name: StreamName,
    /// Its ladder, where the authorisation says so.
    pub ladder: Option<Ladder>,
}

/// Why there is no leave. The text is meant for the publisher and names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The name cannot be served.
    #[error("the stream's name cannot be used: {0}")]
    Name(#[from] InvalidName),
    /// No such key, or not for this stream.
    #[error("{0}")]
    Refused(String),
    /// The webhook did not answer, or not in a way that is understood.
    #[error("{0}")]
    Unavailable(String),
}

impl Denied {
    /// Whether the same request may be granted later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why an [`Authoriser`] cannot be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// A key file cannot be read.
    #[error("auth: the key file {path} cannot be read: {error}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A key file is empty.
    #[error("auth: the key file {0} is empty")]
    EmptyKey(PathBuf),
}

/// Decides who may publish what.
#[derive(Debug)]
pub struct Authoriser(Kind);

#[derive(Debug)]
enum Kind {
    Open,
    Table(table::Table),
    Webhook(Box<webhook::Webhook>),
}

impl Authoriser {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`AuthError`]: the configuration or a key file must be mended.
    pub fn new(config: &Config) -> Result<Self, AuthError> {
        config.check().map_err(AuthError::Config)?;
        Ok(Self(match config.mode {
            Mode::Open => Kind::Open,
            Mode::Table => Kind::Table(table::Table::new(&config.streams)?),
            Mode::Webhook => Kind::Webhook(Box::new(webhook::Webhook::new(&config.webhook))),
        }))
    }

    /// Decides about one publisher.
    ///
    /// # Errors
    /// [`Denied`], to be told to the publisher.
    pub async fn authorise(&self, request: AuthRequest<'_>) -> Result<Grant, Denied> {
        match &self.0 {
            Kind::Open => Ok(Grant {
                name: request.path().parse()?,
                ladder: None,
            }),
            Kind::Table(table) => table.authorise(&request),
            Kind::Webhook(webhook) => webhook.authorise(&request).await,
        }
    }
}
