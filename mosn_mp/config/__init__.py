"""Floor 2: MOSN's configuration as a frozen model, decoded strictly, with the place of every error."""
