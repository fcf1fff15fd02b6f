//! Keeps what was made and serves it as HLS.
