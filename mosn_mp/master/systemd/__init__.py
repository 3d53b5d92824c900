"""The service manager: what it is told, by sd_notify(3)."""
