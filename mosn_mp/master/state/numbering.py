"""Which numbers the listeners, clusters and hosts of a plan have in shared memory, and which are kept for what left it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mosn_mp.buffer.segment import Shape
from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.tables import Kind, Leaving, Tables, pack_numbers, unpack_numbers
from mosn_mp.master.state.directory import Directory

Host = tuple[str, str]  # cluster, address


class Shapes(NamedTuple):
    """Of the segments."""

    arena: Shape  # of what workers hold of it
    metrics: Shape
    state: Shape


class Numbering:
    """The directories of all three kinds."""

    def __init__(self, listeners: Directory[str], clusters: Directory[str], hosts: Directory[Host]) -> None:
        self.listeners = listeners
        self.clusters = clusters
        self.hosts = hosts

    @classmethod
    def restore(cls, capacities: tuple[int, int, int], plan: Plan, tables: Tables) -> "Numbering":
        """Those that *tables* give to what is in *plan*; ValueError if the two do not belong together."""
        named: dict[Kind, list[tuple[tuple[str, ...], int]]] = {"listener": [], "cluster": [], "host": []}
        named["listener"] += zip(((p.name,) for p in plan.listeners), unpack_numbers(tables.listeners), strict=True)
        named["cluster"] += zip(((p.name,) for p in plan.clusters), unpack_numbers(tables.clusters), strict=True)
        for cluster, packed in zip(plan.clusters, tables.hosts, strict=True):
            named["host"] += zip(((cluster.name, host) for host in cluster.hosts), unpack_numbers(packed), strict=True)
        for one in tables.leaving:
            named[one.kind].append((one.names, one.number))
        return cls(
            Directory.restore(capacities[0], ((names[0], number) for names, number in named["listener"])),
            Directory.restore(capacities[1], ((names[0], number) for names, number in named["cluster"])),
            Directory.restore(capacities[2], (((names[0], names[1]), number) for names, number in named["host"])),
        )

    def tables(self, plan: Plan, shapes: Shapes) -> Tables:
        """The numbers of everything in *plan*, the same ones as before for what had some; DirectoryFullError."""
        return Tables(
            *shapes,
            listeners=pack_numbers(self.listeners.reserve(p.name) for p in plan.listeners),
            clusters=pack_numbers(self.clusters.reserve(p.name) for p in plan.clusters),
            hosts=[pack_numbers(self.hosts.reserve((p.name, host)) for host in p.hosts) for p in plan.clusters],
            leaving=list(self.leaving(plan)),
        )

    def leaving(self, plan: Plan) -> Iterator[Leaving]:
        """What has a number and is not in *plan*."""
        listeners = {p.name for p in plan.listeners}
        clusters = {p.name for p in plan.clusters}
        hosts = {(p.name, host) for p in plan.clusters for host in p.hosts}
        yield from (Leaving("listener", (name,), number) for name, number in self.listeners.items() if name not in listeners)
        yield from (Leaving("cluster", (name,), number) for name, number in self.clusters.items() if name not in clusters)
        yield from (Leaving("host", host, number) for host, number in self.hosts.items() if host not in hosts)

    def release(self, gone: Iterable[Leaving]) -> None:
        """Nobody has the numbers of *gone* any more."""
        for one in gone:
            if one.kind == "listener":
                self.listeners.release(one.names[0])
            elif one.kind == "cluster":
                self.clusters.release(one.names[0])
            else:
                self.hosts.release((one.names[0], one.names[1]))


def numbers(some: Sequence[Leaving], kind: Kind) -> list[int]:
    """The numbers of those of that *kind*."""
    return [one.number for one in some if one.kind == kind]
