"""Floor 1: the catalogue of everything that a configuration can name: kinds, names, and where the classes are.

Built-ins are listed as strings, so this floor knows the floors above it by name only and importing it imports nothing. A name is
looked up among the built-ins, then among the installed entry points of the group `mosn_mp.<kind>s`; `package.module:Class` names
a class directly. Classes are imported when they are resolved, never before.
"""

import difflib
import importlib
import sys
from collections.abc import Iterable, Mapping

from mosn_mp.errors import ConfigError

BUILT_IN: dict[str, dict[str, str]] = {
    "codec": {
        "Http1": "mosn_mp.codec.http1.protocol:HTTP1",
        "bolt": "mosn_mp.codec.bolt.protocol:BOLT",
        "boltv2": "mosn_mp.codec.bolt.protocol:BOLTV2",
    },
    "stream_filter": {
        "header_edit": "mosn_mp.filter.header_edit:HeaderEdit",
        "ip_access": "mosn_mp.filter.ip_access:IpAccess",
    },
    "balancer": {
        "LB_RANDOM": "mosn_mp.cluster.lb.random:Random",
        "LB_ROUNDROBIN": "mosn_mp.cluster.lb.round_robin:RoundRobin",
    },
    "access_log_variable": {},
    # What a configuration asks about a value that only the code above can judge.
    "check": {
        "access_log": "mosn_mp.observe.access_log:check_access_log",
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
        self._resolved: dict[tuple[str, str], object] = {}
        self._entry_points: dict[str, dict[str, str]] = {}

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

        *python_path*: directories that are searched for the module after all others; they stay in sys.path, because the module
        may import its neighbours later. ConfigError, with an empty path, if there is no such name or it cannot be imported.
        """
        key = (kind, name)
        if key not in self._resolved:
            place = self._places[kind].get(name) or (name if ":" in name else self._installed(kind).get(name))
            if place is None:
                raise ConfigError("", self._unknown(kind, name))
            for directory in python_path:
                if directory not in sys.path:
                    sys.path.append(directory)
            self._resolved[key] = _import(place)
        return self._resolved[key]

    def _installed(self, kind: str) -> dict[str, str]:
        if kind not in self._entry_points:
            # 17 ms and 2 MB, which a worker whose names are all built in never pays for
            metadata = importlib.import_module("importlib.metadata")
            found = metadata.entry_points(group=f"mosn_mp.{kind}s")
            self._entry_points[kind] = {point.name: point.value for point in found}
        return self._entry_points[kind]

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
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is not None and f"{module_name}.".startswith(f"{e.name}."):
            raise ConfigError("", f"'{place}': there is no module '{e.name}'; is its directory in python_path?") from e
        raise ConfigError("", f"'{place}': it imports '{e.name}', which is not installed") from e
    except Exception as e:  # importing runs the user's code, which may raise anything: that is his to mend, not a crash of ours
        raise ConfigError("", f"'{place}' cannot be imported: {type(e).__name__}: {e}{_raised_at(e)}") from e
    found: object = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as e:
            near = difflib.get_close_matches(name, dir(found), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            where = getattr(module, "__file__", None) or module_name
            raise ConfigError("", f"'{place}': {where} has no '{name}'{hint}") from e
    return found


def _raised_at(error: BaseException) -> str:
    """Where the innermost line that raised *error* is: ` (file.py:12)`."""
    if isinstance(error, SyntaxError):
        return ""  # its text names file and line already
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""


CATALOGUE = Catalogue(BUILT_IN)
