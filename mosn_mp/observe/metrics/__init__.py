"""Counters in shared memory, and the forms in which they are shown."""
