"""Floor 7: one data-plane process."""
