"""Which thing has which number in shared memory: its place there, in the counter rows and in the state of clusters and hosts.

The master assigns numbers, and tells them with each configuration (ipc/tables.py). A thing keeps its number as long as it is
configured, across reloads and upgrades. When it is not any more, and nothing counts there any more, the master empties its cells
and releases the number; the one that is free for the longest time is taken next.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class DirectoryFullError(ValueError):
    """There is no room for one more."""


class Directory(Generic[Key]):
    """The numbers of things of one kind: 1 to *capacity* - 1; 0 means none."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._numbers: dict[Key, int] = {}
        self._free: deque[int] = deque()
        self._taken = bytearray(1)  # by number, up to the largest one that there was

    @classmethod
    def restore(cls, capacity: int, numbers: Iterable[tuple[Key, int]]) -> "Directory[Key]":
        """The directory that has these *numbers*; ValueError if that cannot be."""
        made = cls(capacity)
        for key, number in numbers:
            if not 0 < number < capacity or key in made._numbers or made._is_taken(number):
                raise ValueError(f"number {number} of {key!r} is not one of {capacity}, or is given twice")
            made._numbers[key] = number
            made._take(number)
        made._free.extend(number for number in range(1, made.end) if not made._taken[number])
        return made

    def reserve(self, key: Key) -> int:
        """The number of *key*, the same at every call; DirectoryFullError if there is none left."""
        number = self._numbers.get(key)
        if number is None:
            number = self._free.popleft() if self._free else self.end
            if number >= self.capacity:
                raise DirectoryFullError(f"shared memory has no room for {key!r}: all of its {self.capacity - 1} places are used")
            self._numbers[key] = number
            self._take(number)
        return number

    def find(self, key: Key) -> int:
        """The number of *key*; 0: it has none."""
        return self._numbers.get(key, 0)

    def release(self, key: Key) -> None:
        """*key* is gone, and its cells are empty or about to be."""
        number = self._numbers.pop(key)
        self._taken[number] = 0
        self._free.append(number)

    def has_any(self, first: int, end: int) -> bool:
        """Whether a number from *first* up to, and not including, *end* is somebody's."""
        return self._taken.find(1, first, end) >= 0

    def _is_taken(self, number: int) -> bool:
        return number < self.end and bool(self._taken[number])

    def _take(self, number: int) -> None:
        self._taken.extend(bytes(max(0, number + 1 - self.end)))
        self._taken[number] = 1

    @property
    def end(self) -> int:
        """No number was ever larger than this one minus 1."""
        return len(self._taken)

    def items(self) -> Iterable[tuple[Key, int]]:
        """All things with their numbers."""
        return self._numbers.items()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
