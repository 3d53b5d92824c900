"""Floor 8: the supervisor - listening sockets, shared memory, children, rollout of snapshots."""
