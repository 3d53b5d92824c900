"""The command line and the running master: the control socket, its commands, status, stop."""
