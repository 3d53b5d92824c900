"""Work in small pieces: a generator that yields whenever it may pause, and returns the result.

Whatever takes longer the larger a configuration is, is written so: a worker compiles while it serves, and pauses often enough
that no client notices (worker/pieces.py). Who has nothing else to do calls finish().
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]


def finish(steps: Steps[T]) -> T:
    """The result of *steps*, done without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as e:
            result: T = e.value
            return result
