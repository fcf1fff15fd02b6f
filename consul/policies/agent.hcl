# rackcast-agent: registers the services of its machine and keeps their checks true.

service_prefix "rackcast-" {
  policy = "write"
}

# Fleet-wide settings, and the orders to drain.
key_prefix "rackcast/settings/" {
  policy = "read"
}
key_prefix "rackcast/drain/" {
  policy = "read"
}
