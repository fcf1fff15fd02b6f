# Whoever runs the command `rackcast`: sees the fleet and its streams, sets what is set for all,
# orders a machine to drain.

node_prefix "" {
  policy = "read"
}
service_prefix "rackcast-" {
  policy = "read"
}
# Which machines are Consul's servers: the inventory from Consul shows them, so that none is taken out by
# mistake.
service "consul" {
  policy = "read"
}
key_prefix "rackcast/streams/" {
  policy = "read"
}

key_prefix "rackcast/settings/" {
  policy = "write"
}
key_prefix "rackcast/drain/" {
  policy = "write"
}
