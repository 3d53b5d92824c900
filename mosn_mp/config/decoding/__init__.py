"""From plain values to the model: strict, and every error at once."""
