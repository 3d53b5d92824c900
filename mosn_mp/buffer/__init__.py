"""Floor 1: memory that bytes pass through - the arena, connection buffers, head tables."""
