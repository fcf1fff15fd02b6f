//! From a path to what answers it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::http::{Ask, Reply};
use super::shared::Shared;
use super::{agent, check, health, kv, listing, session, status};

/// Answers one request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: http::Request<Incoming>,
) -> Response<Full<Bytes>> {
    let Some(mut ask) = Ask::new(request) else {
        return Reply::empty(StatusCode::NOT_FOUND).into_response(false);
    };
    let gzip = ask.accepts_gzip();
    let path = std::mem::take(&mut ask.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let reply = match allowed(&path) {
        None => Reply::empty(StatusCode::NOT_FOUND),
        Some(methods)
            if !methods
                .split(',')
                .any(|method| method == ask.method.as_str()) =>
        {
            let text = format!("method {} not allowed", ask.method);
            Reply::text(StatusCode::METHOD_NOT_ALLOWED, text)
                .header("Allow", format!("OPTIONS,{methods}"))
        }
        Some(_) => dispatch(shared, &mut ask, &path)
            .await
            .unwrap_or_else(|refusal| refusal),
    };
    reply.into_response(gzip)
}

/// The methods of an endpoint; `None` if there is none at the path.
fn allowed(path: &[&str]) -> Option<&'static str> {
    Some(match path {
        ["status", "leader" | "peers"] => "GET",
        ["agent", "self" | "members" | "services" | "checks"] => "GET",
        ["agent", "health", "service", "id" | "name", _] => "GET",
        ["agent", "service", "register"] => "PUT",
        ["agent", "service", "deregister" | "maintenance", _] => "PUT",
        ["agent", "check", "register"] => "PUT",
        [
            "agent",
            "check",
            "deregister" | "pass" | "warn" | "fail" | "update",
            _,
        ] => "PUT",
        ["agent", "service", _] => "GET",
        ["catalog", "services" | "nodes" | "datacenters"] => "GET",
        ["catalog", "service", _] => "GET",
        ["health", "service" | "checks" | "state" | "node", _] => "GET",
        ["kv", ..] => "GET,PUT,DELETE",
        ["session", "create"] | ["session", "renew" | "destroy", _] => "PUT",
        _ => return None,
    })
}

async fn dispatch(shared: &Arc<Shared>, ask: &mut Ask, path: &[&str]) -> Result<Reply, Reply> {
    match path {
        ["status", what] => Ok(status::answer(shared, what)),
        ["agent", "self"] => Ok(status::agent_self(shared)),
        ["agent", "members"] => Ok(status::members(shared)),
        ["agent", "services"] => Ok(agent::services(shared)),
        ["agent", "checks"] => Ok(check::checks(shared)),
        ["agent", "health", "service", "id", id] => health::of_instance(shared, ask, id),
        ["agent", "health", "service", _, name] => health::of_service(shared, ask, name),
        ["agent", "service", "register"] => agent::register(shared, ask).await,
        ["agent", "service", "deregister", id] => Ok(agent::deregister(shared, id)),
        ["agent", "service", "maintenance", id] => agent::maintenance(shared, ask, id),
        ["agent", "service", id] => agent::service(shared, ask, id).await,
        ["agent", "check", "register"] => check::register(shared, ask).await,
        ["agent", "check", "deregister", id] => Ok(check::deregister(shared, id)),
        ["agent", "check", "update", id] => check::update(shared, ask, id).await,
        ["agent", "check", verb, id] => check::report(shared, ask, verb, id),
        ["catalog", "services"] => listing::services(shared, ask).await,
        ["catalog", "nodes"] => listing::nodes(shared, ask).await,
        ["catalog", "datacenters"] => Ok(listing::datacenters()),
        ["catalog", "service", name] => listing::service(shared, ask, name).await,
        ["health", "service", name] => health::service(shared, ask, name).await,
        ["health", "checks", name] => health::checks(shared, ask, name).await,
        ["health", "state", state] => health::state(shared, ask, state).await,
        ["health", "node", name] => health::of_node(shared, ask, name).await,
        ["kv", key @ ..] => kv::answer(shared, ask, &key.join("/")).await,
        ["session", "create"] => session::create(shared, ask).await,
        ["session", "renew", id] => Ok(session::renew(shared, id)),
        ["session", "destroy", id] => Ok(session::destroy(shared, id)),
        _ => Err(Reply::empty(StatusCode::NOT_FOUND)),
    }
}
