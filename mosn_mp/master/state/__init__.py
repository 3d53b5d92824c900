"""What all rooms of the master share: the stage, what is served, the shared memory."""
