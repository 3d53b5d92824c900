"""Floor 5: filter interfaces, the chain, built-in stream filters."""
