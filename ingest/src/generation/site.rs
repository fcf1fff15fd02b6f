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

    /// What counts more than the `own` answer: that of a generation of this ingest with a greater
    /// claim, or of another ingest, whose epoch is newer, with no lesser one.
    async fn elsewhere(
        &self,
        own: Option<Claim>,
        scope: Scope,
        asked: &http::request::Parts,
    ) -> Option<(Claim, Response<Body>)> {
        let here = relay::first(&self.generations.load_full(), asked).await;
        let here = here.filter(|(claim, _)| own < Some(*claim));
        let peers = match (&here, &self.peers, scope) {
            (Some((Claim::Strong, _)), _, _) | (_, None, _) => return here,
            // Who asks for another ingest has looked into the directory itself.
            (_, _, Scope::Ingest | Scope::Process) => return here,
            (_, Some(peers), Scope::Fleet) => peers,
        };
        let newest = origin::newest_epoch(&self.origin, asked.uri.path());
        let (there, response) = match peers.answer(asked, newest).await {
            Some(answer) => answer,
            None => return here,
        };
        match &here {
            Some((claim, _)) if there <= *claim => here,
            None if Some(there) < own => None,
            _ => Some((there, response)),
        }
    }

    /// Answers a request: the greatest [`Claim`] counts, and among equals the newer epoch.
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
            (claim, _) => match self.elsewhere(claim, scope, &asked).await {
                Some((there, response)) => {
                    if there == Claim::Strong {
                        origin::is_elsewhere(&self.origin, asked.uri.path());
                    }
                    (Some(there), response)
                }
                None => (claim, reply.take(&self.origin).map(Body::from)),
            },
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
