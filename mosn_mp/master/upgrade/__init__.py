"""One program gives way to another while it serves: the old side, the new side, and what is handed over."""
