"""Floor 3: msgpack frames and file descriptors between master, controller and workers."""
