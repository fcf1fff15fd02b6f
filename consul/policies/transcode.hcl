# rackcast-transcode: follows the settings. Its agent registers it.

key_prefix "rackcast/settings/" {
  policy = "read"
}
