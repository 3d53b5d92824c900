"""The other processes: workers and controller are started, watched, replaced; connections move between workers."""
