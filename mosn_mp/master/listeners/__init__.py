"""The listening sockets: bound or passed, kept open, lent, closed without a lost connection."""
