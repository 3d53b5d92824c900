"""A configuration and users' Python that it names as bytes, for the sealed memfd that every worker gets.

msgpack of the frozen model and of plugin.Sources, trusted by the reader: what is served never depends on files that lie on disk.

    [ configuration without clusters and routers | sources | clusters: [name, digest, msgpack] ... | routers: [...] ... ]

Clusters and routers travel one by one: a worker decodes those whose digest it does not know, with pauses between them, and keeps
what it made of the others.
"""

import hashlib
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from mosn_mp.config.model import Cluster, Config, Router
from mosn_mp.plugin import Sources

T = TypeVar("T", Cluster, Router)
_DIGEST_BYTES = 16


class Part(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """A cluster or router: equal digests, equal configurations."""

    name: str
    digest: bytes
    packed: msgspec.Raw


class Snapshot(NamedTuple):
    """What is accepted as a whole."""

    rest: Config  # its clusters and routers are left out
    sources: Sources
    clusters: tuple[Part[Cluster], ...]
    routers: tuple[Part[Router], ...]

    def config(self) -> Config:
        """The whole configuration."""
        server = replace(self.rest.server, routers=tuple(map(decode_router, self.routers)))
        manager = replace(self.rest.cluster_manager, clusters=tuple(map(decode_cluster, self.clusters)))
        return replace(self.rest, servers=(server,), cluster_manager=manager)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)
_cluster_decoder = msgspec.msgpack.Decoder(Cluster)
_router_decoder = msgspec.msgpack.Decoder(Router)


def encode(config: Config, sources: Sources) -> bytes:
    """The snapshot of *config* and the *sources* that it was judged with."""
    server, manager = config.server, config.cluster_manager
    rest = replace(config, servers=(replace(server, routers=()),), cluster_manager=replace(manager, clusters=()))
    clusters: Iterable[Part[Cluster]] = (_part(cluster.name, cluster) for cluster in manager.clusters)
    routers: Iterable[Part[Router]] = (_part(router.router_config_name, router) for router in server.routers)
    return _encoder.encode(Snapshot(rest, sources, tuple(clusters), tuple(routers)))


def _part(name: str, value: T) -> Part[T]:
    packed = _encoder.encode(value)
    return Part(name, hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest(), msgspec.Raw(packed))


def decode(snapshot: bytes | memoryview) -> Snapshot:
    """What encode() made *snapshot* of."""
    return _decoder.decode(snapshot)


def decode_cluster(part: Part[Cluster]) -> Cluster:
    """The configuration of a cluster."""
    return _cluster_decoder.decode(part.packed)


def decode_router(part: Part[Router]) -> Router:
    """The configuration of a router."""
    return _router_decoder.decode(part.packed)
