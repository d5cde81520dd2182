"""Takes a release's virtualenv and a flow. Gives its own server, started on loopback, ready and verified."""
