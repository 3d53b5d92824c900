"""From the stream filters of a listener's configuration to its FilterChain."""

from collections.abc import Sequence

from mosn_mp.config import model
from mosn_mp.config.checks.stream_filters import bind
from mosn_mp.config.decoding.secrets import without_secrets
from mosn_mp.errors import ConfigError
from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.plugin import CATALOGUE, Catalogue
from mosn_mp.plugin.blame import as_problem


def compile_filters(entries: Sequence[model.StreamFilter], catalogue: Catalogue = CATALOGUE) -> FilterChain:
    """The chain of *entries*: classes imported, configurations decoded, shared filters made.

    ConfigError, with a path that starts at `stream_filters`, if one cannot be served.
    """
    made: list[StreamFilter | tuple[type[StreamFilter], object]] = []
    for index, entry in enumerate(entries):
        where = f"stream_filters[{index}]"
        try:
            cls, config = bind(entry, catalogue)
        except ConfigError as e:
            raise ConfigError(f"{where}.{e.path}" if e.path else where, e.problem) from e
        if not issubclass(cls, StreamFilter):
            problem = f"{entry.type!r} is not a subclass of mosn_mp.filter.stream_filter.StreamFilter"
            raise ConfigError(f"{where}.type", problem)
        try:
            with as_problem(f"{entry.type!r} cannot be made"):
                shared = cls(config)  # a per-stream filter too: what it refuses is found now and not on a request
                own = (cls, config) if cls.per_stream else shared
                FilterChain([own])  # asks it what it wants
        except ConfigError as e:
            problem = without_secrets(e.problem, config)
            raise ConfigError(f"{where}.config.{e.path}" if e.path else f"{where}.config", problem) from e
        made.append(own)
    with as_problem("stream_filters cannot be made"):
        return FilterChain(made)
