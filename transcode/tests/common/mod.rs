//! What the tests of this crate share.
#![allow(dead_code, unused_imports, reason = "each test uses its part")]

mod media;
mod node;

pub(crate) use media::*;
pub(crate) use node::*;
