"""Floor 1: memory that bytes pass through - the shared arena, connection buffers, head tables."""
