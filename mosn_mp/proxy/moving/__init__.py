"""Live connections on their way to another process, as the proxy sees them."""
