"""Floor 4: wire protocols, sans-io; a codec is fed bytes and pulled for events."""
