"""Where each thing's cells lie in the counter rows: (MOSN type, labels) -> base, kept by the master, read by everyone.

The same labels keep the same cells across reloads and upgrades, so counts go on. Things that left the configuration are retired:
their counts are no longer shown, and their cells are reused, longest retired first, only when no others are left. A stream that
outlives its host by then counts a few events for the newcomer; that is the price of a bounded row.

Source: mosn-reference 10.1 for types and labels.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mosn_mp.observe.cells import BLOCKS, WORKER, Block

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
Packed = dict[str, int | list[list[str | int | list[list[str]]]]]


class DirectoryFullError(ValueError):
    """The rows have no room for one more block."""


class Placed(NamedTuple):
    """A block and where it lies; its worker-row block aside, a block has this base in every row."""

    type: str
    labels: Labels
    base: int

    @property
    def block(self) -> Block:
        """What its cells mean."""
        return BLOCKS[self.type]


def canonical(labels: Iterable[Sequence[str]]) -> Labels:
    """Labels in MOSN's order: sorted by name."""
    return tuple(sorted((name, value) for name, value in labels))


class Directory:
    """The assignment of blocks to bases in rows of *row_cells* cells; the worker block has base 0."""

    def __init__(self, row_cells: int) -> None:
        self.row_cells = row_cells
        self._next = WORKER.size
        self._bases: dict[Key, int] = {}
        self._retired: dict[Key, int] = {}  # in the order of retiring
        self._reused: list[Placed] = []

    def reserve(self, type_: str, labels: Iterable[Sequence[str]]) -> int:
        """The base of this block, the same at every call; DirectoryFullError if the rows have no room."""
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
        """Blocks whose cells got a new meaning since the last call: the master zeroes them in all rows before anyone counts."""
        reused, self._reused = self._reused, []
        return reused

    def _place(self, key: Key) -> int:
        size = BLOCKS[key[0]].size
        if self._next + size <= self.row_cells:
            base = self._next
            self._next += size
            return base
        for old in self._retired:
            if old[0] == key[0]:
                base = self._retired.pop(old)
                self._reused.append(Placed(key[0], key[1], base))
                return base
        named = ", ".join(f"{name}={value}" for name, value in key[1])
        raise DirectoryFullError(f"no room for the counters of {key[0]} {named}: all {self.row_cells} cells per row are used")

    def __iter__(self) -> Iterator[Placed]:
        """All blocks but the worker's, in the order of their cells."""
        return iter(sorted((Placed(key[0], key[1], base) for key, base in self._bases.items()), key=lambda placed: placed.base))

    def __len__(self) -> int:
        return len(self._bases)

    def gauges(self) -> list[int]:
        """The cells of a row that mean nothing when its process is dead: all gauges, those of retired blocks included."""
        cells = WORKER.gauges()
        for (type_, _), base in (self._bases | self._retired).items():
            cells.extend(base + at for at in BLOCKS[type_].gauges())
        return cells

    def pack(self) -> Packed:
        """The directory in msgpack's builtins."""
        return {
            "row_cells": self.row_cells,
            "next": self._next,
            "blocks": _packed(self._bases),
            "retired": _packed(self._retired),
        }

    @classmethod
    def unpack(cls, packed: Packed) -> "Directory":
        """The directory that pack() gave; ValueError if it is none."""
        row_cells, next_, blocks, retired = (packed.get(name) for name in ("row_cells", "next", "blocks", "retired"))
        if not (isinstance(row_cells, int) and isinstance(next_, int) and isinstance(blocks, list) and isinstance(retired, list)):
            raise ValueError("not a packed metrics directory")
        made = cls(row_cells)
        made._next = next_
        made._bases = dict(_unpacked(row) for row in blocks)
        made._retired = dict(_unpacked(row) for row in retired)
        return made


def _packed(bases: dict[Key, int]) -> list[list[str | int | list[list[str]]]]:
    return [[type_, [list(label) for label in labels], base] for (type_, labels), base in bases.items()]


def _unpacked(row: Sequence[str | int | Sequence[Sequence[str]]]) -> tuple[Key, int]:
    type_, labels, base = row
    if not isinstance(type_, str) or isinstance(labels, (str, int)) or not isinstance(base, int) or type_ not in BLOCKS:
        raise ValueError(f"not a row of a packed metrics directory: {row!r}")
    return (type_, canonical(labels)), base
