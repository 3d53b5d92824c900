"""From the names of a configuration to Protocols: built in, from installed entry points, and from files of the user's.

`third_part_codec` is MOSN's way to name a codec of one's own; its Python form is a file beside the
configuration, or an extension module compiled from it, and the class or function in it that makes the protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from typing import Protocol as Interface

from mosn_mp.codec.bridge import bridge
from mosn_mp.codec.protocol import Protocol, can_go_as
from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE, Catalogue
from mosn_mp.plugin.blame import as_problem

KIND = "codec"


class CodecFile(Interface):
    """An entry of third_part_codec; *path* is absolute."""

    @property
    def enable(self) -> bool:
        """False: the entry is passed over."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def loader_func_name(self) -> str:
        """What in it makes the protocol when it is called."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What it is called with, if there is anything."""


class Spoken(NamedTuple):
    """The protocols of one listener."""

    downstream: tuple[Protocol, ...]  # what clients may speak, in the order in which each is asked whether a client is its own
    upstream: Protocol | None  # what hosts speak; None: what the client speaks
    by_name: Mapping[str, Protocol]  # what a filter may choose for hosts


class Protocols:
    """Every protocol that one configuration can name. Made by compile_protocols()."""

    def __init__(self, own: Mapping[str, Protocol], loaded: Mapping[str, Protocol], catalogue: Catalogue) -> None:
        self.loaded = dict(loaded)  # by what they were loaded with
        self._own = own
        self._catalogue = catalogue

    def is_like(self, other: "Protocols") -> bool:
        """True if every name means the same object in both."""
        return self._own == other._own

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted({*self._catalogue.names(KIND), *self._own}))

    def named(self, name: str) -> Protocol:
        """The Protocol called *name*, or `package.module:Class`; ConfigError, with an empty path, if there is none."""
        if name in self._own:
            return self._own[name]
        if name not in self.loaded:
            self.loaded[name] = _made(self._catalogue.resolve(KIND, name), name, {})
        return self.loaded[name]

    def mismatch(self, downstream: str, upstream: str) -> str:
        """Why requests of *downstream* clients cannot go upstream as *upstream*; "" if they can. Both names can be loaded."""
        if can_go_as(self.named(downstream), self.named(upstream)):
            return ""
        return (
            f"{upstream!r} has pool_mode BIND, a connection to the host for each client, and clients of {downstream!r} ask many "
            f"things at a time; let them come to a listener of {upstream!r}"
        )

    def spoken(self, downstream: Sequence[str], upstream: str = "") -> Spoken:
        """The Spoken of these names; no name downstream = every protocol there is, none upstream = the client's."""
        every = {name: self.named(name) for name in self.names()}
        asked = tuple(self.named(name) for name in downstream or every)
        return Spoken(asked, self.named(upstream) if upstream else None, every)


def compile_protocols(
    files: Sequence[CodecFile] = (), before: Protocols | None = None, catalogue: Catalogue = CATALOGUE
) -> Protocols:
    """The Protocols of a configuration with these *files*; ConfigError, with a path that starts at the files, if one is refused.

    *before*: the Protocols served until now; what was loaded with the same settings is the same object again.
    """
    loaded = dict(before.loaded) if before is not None else {}
    own: dict[str, Protocol] = {}
    for index, entry in enumerate(files):
        if not entry.enable:
            continue
        key = f"{entry.path}:{entry.loader_func_name}:{sorted(entry.config.items())!r}"
        try:
            protocol = loaded.get(key) or load_protocol(entry, catalogue)
        except ConfigError as e:
            raise ConfigError(f"[{index}].{e.path}" if e.path else f"[{index}]", e.problem) from e
        if protocol.name in own or protocol.name in catalogue.names(KIND):
            raise ConfigError(f"[{index}]", f"there is a protocol {protocol.name!r} already; its name has to be another one")
        own[protocol.name] = loaded[key] = protocol
    return Protocols(own, loaded, catalogue)


def load_protocol(entry: CodecFile, catalogue: Catalogue = CATALOGUE) -> Protocol:
    """The Protocol that *entry* names, its file imported; ConfigError, with a path that starts at the entry."""
    file = Path(entry.path)
    module = file.name.partition(".")[0]  # of an extension module too: x_example.cpython-311-x86_64-linux-gnu.so
    if not file.is_file() and module not in catalogue.edition.modules:
        raise ConfigError("path", f"there is no file {entry.path!r}")
    directories = (str(file.parent),)
    imported = _resolve(catalogue, f"{module}:__file__", directories, "path")
    if not (isinstance(imported, str) and Path(imported).parent.resolve() == file.parent.resolve()):
        raise ConfigError("path", f"{imported} is imported by the name {module!r} before this file; give the file another name")
    place = f"{module}:{entry.loader_func_name}"
    return _made(_resolve(catalogue, place, directories, "loader_func_name"), place, entry.config)


def _resolve(catalogue: Catalogue, place: str, directories: tuple[str, ...], path: str) -> object:
    """What is at *place*; a ConfigError is about the key *path*."""
    try:
        return catalogue.resolve(KIND, place, directories)
    except ConfigError as e:
        raise ConfigError(path, e.problem) from e


def _made(loader: object, place: str, config: Mapping[str, Any]) -> Protocol:
    """The Protocol that *loader* is or makes."""
    try:
        with as_problem(f"'{place}' cannot be made"):
            made = loader(config) if callable(loader) and config else loader() if callable(loader) else loader
            return bridge(made, place)
    except ConfigError as e:
        if not e.path and e.__cause__ is not None:
            raise
        raise ConfigError(f"config.{e.path}" if e.path else "config", e.problem) from e


def rpc_limits(protocol: Protocol, options: model.ExtendConfig) -> object:
    """What make_codec() takes for clients of *protocol*, by the *options* of their listener; Http1 has limits of its own."""
    own = getattr(options, protocol.name, None)
    make_limits: Callable[..., object] = protocol.make_limits
    if isinstance(own, model.BoltOptions):
        return make_limits(max_frame=own.max_frame_size, goaway=own.enable_bolt_goaway)
    return make_limits()
