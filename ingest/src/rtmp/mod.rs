//! RTMP publishers.
