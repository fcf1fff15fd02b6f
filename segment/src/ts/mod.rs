//! MPEG-TS: the format in which segments travel and are served.
