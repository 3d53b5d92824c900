"""One connection: accepted, read, written, spliced, moved."""
