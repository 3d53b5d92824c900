"""The other processes: workers and controller are started, watched, replaced; sockets and connections change workers."""
