"""What the admin API refused and dropped."""

from dataclasses import dataclass


@dataclass(slots=True)
class AdminCounts:
    """Counters since the controller started."""

    refused_requests: int = 0  # of whom may not ask: a foreign Host or Origin, no token
    refused_connections: int = 0  # no place, or by the Unix socket from a process that may not use it
    dropped_connections: int = 0  # made room for newer ones
