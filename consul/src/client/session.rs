//! Sessions: what is written in the name of one goes when its owner does.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Client, Error, Request};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted<'a> {
    name: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
    behavior: &'static str,
    lock_delay: &'static str,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

impl Client {
    /// Begins a session of this machine. Its keys are deleted when it ends: destroyed, not renewed
    /// for `ttl` (Consul takes up to twice that, and no less than 10 s), or with its node lost.
    pub async fn session_create(&self, name: &str, ttl: Duration) -> Result<String, Error> {
        let request = Request::new(Method::PUT, "/v1/session/create", "").json(&Wanted {
            name,
            ttl: format!("{}s", ttl.as_secs()),
            behavior: "delete",
            lock_delay: "0s",
        })?;
        Ok(self.send(request).await?.json::<Created>()?.id)
    }

    /// Keeps a session alive; false if it is over.
    pub async fn session_renew(&self, id: &str) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, "/v1/session/renew/", id);
        match self.send(request).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a session, and with it the keys that it holds.
    pub async fn session_destroy(&self, id: &str) -> Result<(), Error> {
        let request = Request::new(Method::PUT, "/v1/session/destroy/", id);
        self.send(request).await.map(drop)
    }
}
