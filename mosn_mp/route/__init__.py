"""Floor 4: which route a request takes; pure."""
