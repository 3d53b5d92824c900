"""Floor 3: counters in shared memory, access log, log files."""
