"""The listening sockets: bound or passed, kept open, closed without a lost connection."""
