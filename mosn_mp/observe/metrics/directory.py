"""Where each thing lies in shared memory: (type, labels) -> base, kept by the master, read by everyone.

One directory is for the counter rows (bases are cells), one for the shared state of cluster/state.py (bases are record numbers).

The same labels keep the same place across reloads and upgrades, so counts go on. Things that left the configuration are retired:
they are no longer shown, and their place is reused, longest retired first, only when no others are left. A stream that
outlives its host by then counts a few events for the newcomer; that is the price of a bounded row.

Source: mosn-reference 10.1 for types and labels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mosn_mp.observe.metrics.cells import BLOCKS, WORKER, Block

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
METRIC_SIZES: Mapping[str, int] = {block.type: block.size for block in BLOCKS.values()}
Packed = dict[str, int | list[list[str | int | list[list[str]]]]]


class DirectoryFullError(ValueError):
    """There is no room for one more block."""


class Placed(NamedTuple):
    """A block and where it lies: a metric block has this base in every row."""

    type: str
    labels: Labels
    base: int

    @property
    def block(self) -> Block:
        """What the cells of a metric block mean."""
        return BLOCKS[self.type]


def canonical(labels: Iterable[Sequence[str]]) -> Labels:
    """Labels in MOSN's order: sorted by name."""
    return tuple(sorted((name, value) for name, value in labels))


class Directory:
    """The assignment of blocks, *sizes* by type, to bases from *first* to *capacity*.

    By default that of the counter rows, whose worker block has base 0: `Directory(metrics.row_cells)`.
    """

    def __init__(self, capacity: int, first: int = WORKER.size, sizes: Mapping[str, int] = METRIC_SIZES) -> None:
        self.capacity = capacity
        self.sizes = sizes
        self._next = first
        self._bases: dict[Key, int] = {}
        self._retired: dict[Key, int] = {}  # in the order of retiring
        self._reused: list[Placed] = []

    def reserve(self, type_: str, labels: Iterable[Sequence[str]]) -> int:
        """The base of this block, the same at every call; DirectoryFullError if there is no room."""
        key = (type_, canonical(labels))
        base = self._bases.get(key)
        if base is None:
            base = self._retired.pop(key, None)
            if base is None:
                base = self._place(key)
            self._bases[key] = base
        return base

    def find(self, type_: str, labels: Iterable[Sequence[str]]) -> int | None:
        """The base of this block, None if it has none."""
        return self._bases.get((type_, canonical(labels)))

    def retire_others(self, needed: Iterable[tuple[str, Iterable[Sequence[str]]]]) -> None:
        """Retire every block that is not *needed* by a snapshot in use."""
        keep = {(type_, canonical(labels)) for type_, labels in needed}
        for key in [key for key in self._bases if key not in keep]:
            self._retired[key] = self._bases.pop(key)

    def take_reused(self) -> list[Placed]:
        """Blocks whose place got a new meaning since the last call: the master zeroes it before anyone counts there."""
        reused, self._reused = self._reused, []
        return reused

    def _place(self, key: Key) -> int:
        size = self.sizes[key[0]]
        if self._next + size <= self.capacity:
            base = self._next
            self._next += size
            return base
        for old in self._retired:
            if old[0] == key[0]:
                base = self._retired.pop(old)
                self._reused.append(Placed(key[0], key[1], base))
                return base
        named = ", ".join(f"{name}={value}" for name, value in key[1])
        raise DirectoryFullError(f"shared memory has no room for {key[0]} {named}: {self._next} of {self.capacity} places used")

    def __iter__(self) -> Iterator[Placed]:
        """All blocks but the worker's, in the order of their cells."""
        return iter(sorted((Placed(key[0], key[1], base) for key, base in self._bases.items()), key=lambda placed: placed.base))

    def __len__(self) -> int:
        return len(self._bases)

    @property
    def end(self) -> int:
        """Nothing lies at or above this base."""
        return self._next

    def gauges(self) -> list[int]:
        """The cells of a row that mean nothing when its process is dead: all gauges, those of retired blocks included."""
        cells = WORKER.gauges()
        for (type_, _), base in (self._bases | self._retired).items():
            cells.extend(base + at for at in BLOCKS[type_].gauges())
        return cells

    def pack(self) -> Packed:
        """The directory in msgpack's builtins."""
        return {
            "capacity": self.capacity,
            "next": self._next,
            "blocks": _packed(self._bases),
            "retired": _packed(self._retired),
        }

    @classmethod
    def unpack(cls, packed: Packed, sizes: Mapping[str, int] = METRIC_SIZES) -> "Directory":
        """The directory that pack() gave; ValueError if it is none."""
        capacity, next_, blocks, retired = (packed.get(name) for name in ("capacity", "next", "blocks", "retired"))
        if not (isinstance(capacity, int) and isinstance(next_, int) and isinstance(blocks, list) and isinstance(retired, list)):
            raise ValueError("not a packed directory")
        made = cls(capacity, next_, sizes)
        made._bases = dict(_unpacked(row, sizes) for row in blocks)
        made._retired = dict(_unpacked(row, sizes) for row in retired)
        return made


def _packed(bases: dict[Key, int]) -> list[list[str | int | list[list[str]]]]:
    return [[type_, [list(label) for label in labels], base] for (type_, labels), base in bases.items()]


def _unpacked(row: Sequence[str | int | Sequence[Sequence[str]]], sizes: Mapping[str, int]) -> tuple[Key, int]:
    type_, labels, base = row
    if not isinstance(type_, str) or isinstance(labels, (str, int)) or not isinstance(base, int) or type_ not in sizes:
        raise ValueError(f"not a row of a packed directory: {row!r}")
    return (type_, canonical(labels)), base
