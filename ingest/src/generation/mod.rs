//! The process that does the work.
