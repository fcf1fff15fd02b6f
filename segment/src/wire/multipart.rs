//! `multipart/mixed`, written and read part by part.
