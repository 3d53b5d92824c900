"""How the processes talk: typed frames, channels that carry them with descriptors, sealed memfds for what is large."""
