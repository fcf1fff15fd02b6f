//! Cuts a stream into segments at keyframes; pure.
