"""A configuration file as plain values, each with its place."""
