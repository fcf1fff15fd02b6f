//! What the generation answers to a request for HLS: from its own origin, or from another process.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{self, HeaderValue};
use http::{Request, Response, Version};

use crate::directory::Peers;
use crate::origin::{Origin, http as origin};
use crate::relay::{self, Body, Claim, Relay, Scope};
use crate::turn::Turn;

/// Everything that players can ask for.
#[derive(Debug)]
pub struct Site {
    origin: Arc<Origin>,
    generations: Arc<ArcSwap<Vec<Relay>>>,
    /// The other ingests, if they may be asked.
    peers: Option<Peers>,
    turn: Turn,
}

impl Site {
    /// What this origin and the other generations of this ingest, the newest first, have.
    pub fn new(
        origin: Arc<Origin>,
        generations: Arc<ArcSwap<Vec<Relay>>>,
        peers: Option<Peers>,
        turn: Turn,
    ) -> Self {
        Self {
            origin,
            generations,
            peers,
            turn,
        }
    }

    /// What other processes answer: the generations of this ingest, then the other ingests.
    async fn elsewhere(
        &self,
        scope: Scope,
        generations: &[Relay],
        asked: &http::request::Parts,
    ) -> Option<(Claim, Response<Body>)> {
        let here = relay::first(generations, asked).await;
        let peers = match (&here, &self.peers) {
            (Some((Claim::Strong, _)), _) | (_, None) => return here,
            (_, Some(peers)) => peers,
        };
        // Who asks for another ingest has looked into the directory itself.
        let there = match scope {
            Scope::Fleet => peers.answer(asked).await,
            Scope::Ingest | Scope::Process => None,
        };
        match there {
            Some((Claim::Strong, _)) => there,
            there => here.or(there),
        }
    }

    /// Answers a request. Whoever publishes the stream comes before what is left of it anywhere.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body> {
        let scope = relay::scope(request.headers());
        let (asked, _) = request.into_parts();
        let asked = Request::from_parts(asked, ());
        let reply = origin::reply(&self.origin, &asked);
        let (asked, ()) = asked.into_parts();
        let (claim, mut response) = match (reply.claim(), scope) {
            (claim @ Some(Claim::Strong), _) | (claim, Scope::Process) => {
                (claim, reply.take(&self.origin).map(Body::from))
            }
            (claim, _) => {
                let generations = self.generations.load_full();
                match (claim, self.elsewhere(scope, &generations, &asked).await) {
                    (None, Some((claim, response))) => (Some(claim), response),
                    (Some(Claim::Weak), Some((Claim::Strong, response))) => {
                        origin::is_elsewhere(&self.origin, asked.uri.path());
                        (Some(Claim::Strong), response)
                    }
                    (claim, _) => (claim, reply.take(&self.origin).map(Body::from)),
                }
            }
        };
        if scope != Scope::Fleet
            && let Some(claim) = claim
        {
            claim.put(response.headers_mut());
        }
        // What comes next on this connection is for the generation that accepts.
        if self.turn.has_retired() && scope == Scope::Fleet && asked.version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}
