"""Floor 4: which host gets a request; pure."""
