"""Floor 3: counters in shared memory (metrics), access logs (access_log), the process log, what the kernel knows of a process."""
