"""sitecustomize.py of `scripts/test --sanitize`: sets no limits of memory, which AddressSanitizer's shadow alone exceeds."""

import resource

_setrlimit = resource.setrlimit


def set_other_limit(which: int, limits: tuple[int, int]) -> None:
    """setrlimit(2), but for RLIMIT_AS and RLIMIT_DATA."""
    if which not in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        _setrlimit(which, limits)


resource.setrlimit = set_other_limit
