"""What drives a worker: events, deadlines, greenlets, and the buffers that they wait for."""
