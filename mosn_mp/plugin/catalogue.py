"""The catalogue of everything that a configuration can name: kinds, names, and where the classes are.

Built-ins are listed as strings, so this floor knows the floors above it by name only and importing it imports nothing. A name is
looked up among the built-ins, then among the installed entry points of the group `mosn_mp.<kind>s`; `package.module:Class` names
a class directly. Classes are imported when they are resolved, never before. What is not built in belongs to an edition of users'
Python (plugin.edition), which one finder on sys.meta_path serves.
"""

import contextlib
import difflib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from mosn_mp.errors import ConfigError
from mosn_mp.plugin.blame import as_problem, where_raised
from mosn_mp.plugin.edition import Edition
from mosn_mp.plugin.source import Sources

BUILT_IN: dict[str, dict[str, str]] = {
    "codec": {
        "Http1": "mosn_mp.codec.http1.protocol:HTTP1",
        "bolt": "mosn_mp.codec.bolt.protocol:BOLT",
        "boltv2": "mosn_mp.codec.bolt.protocol:BOLTV2",
    },
    "stream_filter": {
        "header_edit": "mosn_mp.filter.header_edit:HeaderEdit",
        "ip_access": "mosn_mp.filter.ip_access:IpAccess",
        "transcoder": "mosn_mp.filter.transcoder:Transcoder",
    },
    "balancer": {
        "LB_RANDOM": "mosn_mp.cluster.lb.random:Random",
        "LB_ROUNDROBIN": "mosn_mp.cluster.lb.round_robin:RoundRobin",
        "LB_WEIGHTED_ROUNDROBIN": "mosn_mp.cluster.lb.round_robin:RoundRobin",
    },
    "access_log_variable": {},
    # What a configuration asks about a value that only the code above can judge.
    "check": {
        "access_log": "mosn_mp.observe.access_log.access_log:check_access_log",
        "protocols": "mosn_mp.codec.compile:compile_protocols",
        "regex": "mosn_mp.route.pattern:Pattern",
        "router": "mosn_mp.route.compile:compile_router",
        "stream_filters": "mosn_mp.filter.compile:compile_filters",
    },
}


class Catalogue:
    """Names of each kind and the objects they stand for."""

    def __init__(self, places: Mapping[str, Mapping[str, str]]) -> None:
        self._places = {kind: dict(names) for kind, names in places.items()}
        self._built_in: dict[str, object] = {}
        self.edition = Edition()

    def kinds(self) -> tuple[str, ...]:
        """The kinds of things that can be named."""
        return tuple(self._places)

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of *kind*, built-in and from installed entry points, sorted."""
        return tuple(sorted(self._places[kind].keys() | self._installed(kind).keys()))

    def add(self, kind: str, name: str, place: str) -> None:
        """List the object at *place* (`package.module:Class`) under *name*; ValueError if the name is taken."""
        if self._places[kind].setdefault(name, place) != place:
            raise ValueError(f"{kind} '{name}' is already listed as {self._places[kind][name]}")

    def resolve(self, kind: str, name: str, python_path: Iterable[str] = ()) -> object:
        """The object that *name* stands for, imported now if it was not before.

        *python_path*: directories that are searched for the module after all others. ConfigError, with an empty path, if there
        is no such name or it cannot be imported.
        """
        place = self._places[kind].get(name) or (name if ":" in name else self._installed(kind).get(name))
        if place is None:
            raise ConfigError("", self._unknown(kind, name))
        if place.startswith("mosn_mp."):
            resolved = self._built_in
        else:
            self._listen()
            self.edition.name(place.partition(":")[0], tuple(python_path))
            resolved = self.edition.resolved
        if place not in resolved:
            resolved[place] = _import(place)
        return resolved[place]

    def is_users(self, kind: str, name: str) -> bool:
        """Whether *name*, if it names anything, names users' Python."""
        return not self._places[kind].get(name, "").startswith("mosn_mp.") and (":" in name or name in self.names(kind))

    def sources(self) -> Sources:
        """Users' Python as this process has it, to travel with a configuration; ConfigError if it is too much."""
        for kind in self._places:
            self._installed(kind)
        return self.edition.sources()

    def serve(self, edition: Edition) -> None:
        """Let *edition* be what imports find from now on."""
        if edition is not self.edition:
            self._listen()
            self.edition.put_away()
            edition.bring_back()
            self.edition = edition

    @contextlib.contextmanager
    def using(self, edition: Edition) -> Iterator[None]:
        """Serve *edition* in here, and then the one before again."""
        before = self.edition
        self.serve(edition)
        try:
            yield
        finally:
            self.serve(before)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What Python's import asks (importlib.abc.MetaPathFinder)."""
        return self.edition.find_spec(name, path)

    def _listen(self) -> None:
        """Be asked before Python's own finders, which would read what lies on disk now."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def _installed(self, kind: str) -> dict[str, str]:
        """Entry points: by name the place of the object."""
        installed = self.edition.installed
        if kind not in installed and not self.edition.is_sealed:
            # 17 ms and 2 MB, which a worker never pays for
            metadata = importlib.import_module("importlib.metadata")
            points = metadata.entry_points()
            for one in self._places:
                installed[one] = {point.name: point.value for point in points.select(group=f"mosn_mp.{one}s")}
        return installed.get(kind, {})

    def _unknown(self, kind: str, name: str) -> str:
        what = kind.replace("_", " ")
        names = self.names(kind)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}; your own is 'package.module:Class'"
        return f"unknown {what} '{name}'; {hint}"


def _import(place: str) -> object:
    """The object at `package.module:Class`."""
    module_name, _, attribute = place.partition(":")
    try:
        with as_problem(f"'{place}' cannot be imported"):
            module = importlib.import_module(module_name)
    except ConfigError as e:
        raise _not_found(e.__cause__, place) or e from e.__cause__
    found: object = module
    for name in attribute.split("."):
        try:
            with as_problem(f"'{place}'"):
                found = getattr(found, name)
        except ConfigError as e:
            if not isinstance(e.__cause__, AttributeError):
                raise
            near = difflib.get_close_matches(name, dir(found), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            where = getattr(module, "__file__", None) or module_name
            raise ConfigError("", f"'{place}': {where} has no '{name}'{hint}") from e.__cause__
    return found


def _not_found(error: BaseException | None, place: str) -> ConfigError | None:
    """What is said of an *error* of the import of *place* that is about a module which is not there."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    if error.path is not None:
        return ConfigError("", f"'{place}': {error}")
    if error.name is not None and f"{place.partition(':')[0]}.".startswith(f"{error.name}."):
        return ConfigError("", f"'{place}': there is no module '{error.name}'; is its directory in python_path?")
    return ConfigError("", f"'{place}': it imports '{error.name}', which is not installed{where_raised(error)}")


CATALOGUE = Catalogue(BUILT_IN)
