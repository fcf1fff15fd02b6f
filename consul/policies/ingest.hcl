# rackcast-ingest: finds transcode nodes, tells which streams it has, follows the settings.

# An instance is seen only by who may see its node.
node_prefix "" {
  policy = "read"
}
service_prefix "rackcast-" {
  policy = "read"
}

key_prefix "rackcast/settings/" {
  policy = "read"
}

# The directory of streams. What an ingest enters there lives as long as its session.
key_prefix "rackcast/streams/" {
  policy = "write"
}
session_prefix "" {
  policy = "write"
}
