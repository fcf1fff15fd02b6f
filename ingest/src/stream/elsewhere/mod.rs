//! A publisher here, its stream in another generation of this ingest.
//!
//! A publisher that reconnects comes to the generation that accepts. If an older one still has its
//! stream, waiting for it within the grace or with a connection of which it does not know yet that
//! it is dead, the stream must go on there: its playlists do, and nobody can publish it twice. So
//! whoever lets a publisher in asks the others first ([`Elsewhere::ask`]); the one that has the
//! stream [answers](serve), and takes what the publisher sends over a unix socket, event by event.
//!
//! The publisher's connection stays where it is, whatever it speaks. It is lost when this process
//! ends, and the stream waits for it again; when the other one ends, the publisher is sent away
//! and begins anew here.

mod ask;
mod serve;
#[cfg(test)]
mod tests;
mod wire;

pub use ask::Elsewhere;
pub use serve::serve;
