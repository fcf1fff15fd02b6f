# For the `default` token of every Consul agent that answers DNS: healthy nodes are found by
# name, and by the prepared queries, which show whoever asks what that one may see.

node_prefix "" {
  policy = "read"
}
service_prefix "rackcast-" {
  policy = "read"
}
