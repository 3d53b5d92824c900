"""Floor 5: everything that holds a socket."""
