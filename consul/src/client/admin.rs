//! What an operator installs once: ACL policies and prepared queries, found by their names.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Client, Error, Request};

/// An ACL policy, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// Its rules, in HCL.
    pub rules: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// It was not there before.
    Created,
    /// It was there and has been replaced.
    Replaced,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(rename = "ID")]
    id: String,
    name: String,
}

impl Client {
    /// Creates a policy, or replaces the one of its name.
    pub async fn install_policy(&self, policy: &Policy<'_>) -> Result<Installed, Error> {
        let all = Request::new(Method::GET, "/v1/acl/policies", "");
        let known: Vec<Named> = self.send(all).await?.json()?;
        let (request, installed) = match known.into_iter().find(|p| p.name == policy.name) {
            Some(known) => (
                Request::new(Method::PUT, "/v1/acl/policy/", &known.id),
                Installed::Replaced,
            ),
            None => (
                Request::new(Method::PUT, "/v1/acl/policy", ""),
                Installed::Created,
            ),
        };
        self.send(request.json(policy)?).await?;
        Ok(installed)
    }

    /// Creates a prepared query, or replaces the one of its name.
    pub async fn install_query(&self, query: &Value) -> Result<Installed, Error> {
        let all = Request::new(Method::GET, "/v1/query", "");
        let known: Vec<Named> = self.send(all).await?.json()?;
        let (request, installed) = match known.into_iter().find(|q| query["Name"] == q.name) {
            Some(known) => (
                Request::new(Method::PUT, "/v1/query/", &known.id),
                Installed::Replaced,
            ),
            None => (
                Request::new(Method::POST, "/v1/query", ""),
                Installed::Created,
            ),
        };
        self.send(request.json(query)?).await?;
        Ok(installed)
    }
}
