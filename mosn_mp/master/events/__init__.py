"""The event loop of the master, and channels to other processes on it."""
