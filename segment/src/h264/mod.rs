//! H.264 at the level of NAL units and parameter sets.
