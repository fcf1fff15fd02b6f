//! Feeds the catalog's view of the transcode nodes into the route table.
