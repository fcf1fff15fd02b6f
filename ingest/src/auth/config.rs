//! `[auth]`: who may publish.

use std::path::PathBuf;
use std::time::Duration;

use rackcast_segment::id::AppName;
use rackcast_segment::ladder::Ladder;
use serde::Deserialize;
use url::Url;

use super::Key;

/// How a publisher is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everyone may publish everything. For development.
    Open,
    /// By the keys of `[[auth.streams]]`.
    #[default]
    Table,
    /// By an HTTP service.
    Webhook,
}

/// `[auth]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `open`, `table` or `webhook`.
    pub mode: Mode,
    /// `[[auth.streams]]`: the table.
    pub streams: Vec<Entry>,
    /// `[auth.webhook]`.
    pub webhook: WebhookConfig,
}

/// `[[auth.streams]]`: one key and what it opens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The application.
    pub app: AppName,
    /// The stream's name; `*` stands for any run of characters. Only an entry without `*` can
    /// be opened by its key alone.
    pub stream: String,
    /// The key itself; better kept in a file.
    pub key: Option<Key>,
    /// A file that holds the key and nothing else. A relative path is looked up among
    /// systemd's credentials (`LoadCredential=`).
    pub key_file: Option<PathBuf>,
    /// The ladder of these streams; the configured default if absent.
    pub ladder: Option<Ladder>,
}

/// `[auth.webhook]`: the HTTP service that decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Where to POST; `http://` only, so the service belongs on this machine or a trusted
    /// network.
    pub url: Option<Url>,
    /// Time for the whole call, waiting for its turn included.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Calls at the same time; more publishers wait for their turn.
    pub concurrency: usize,
    /// Largest answer, in bytes.
    pub max_response: usize,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_secs(3),
            concurrency: 16,
            max_response: 64 * 1024,
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// What is wrong and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        for entry in &self.streams {
            let (app, stream) = (&entry.app, &entry.stream);
            if entry.key.is_some() == entry.key_file.is_some() {
                return Err(format!(
                    "auth.streams: {app}/{stream} needs either key or key_file"
                ));
            }
            if entry.key.as_ref().is_some_and(Key::is_empty) {
                return Err(format!("auth.streams: the key of {app}/{stream} is empty"));
            }
            if let Err(error) = stream
                .replace('*', "x")
                .parse::<rackcast_segment::id::StreamName>()
            {
                return Err(format!("auth.streams: {app}/{stream}: {error}"));
            }
        }
        let hook = &self.webhook;
        if hook.concurrency == 0 || hook.timeout.is_zero() || hook.max_response == 0 {
            return Err(
                "auth.webhook: timeout, concurrency and max_response must be above zero".to_owned(),
            );
        }
        match (&hook.url, self.mode) {
            (None, Mode::Webhook) => Err("auth.mode is webhook: set auth.webhook.url".to_owned()),
            (Some(url), _) if url.scheme() != "http" || url.host().is_none() => Err(format!(
                "auth.webhook.url: {}:// is not supported; only http:// is",
                url.scheme()
            )),
            _ if self.mode != Mode::Table && !self.streams.is_empty() => Err(
                "auth.streams is set but auth.mode is not table: nothing would read it".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}
