"""Floor 1: the catalogue of everything that a configuration can name: kinds, names, and where the classes are.

Built-ins are listed as strings, so this floor knows the floors above it by name only and importing it imports nothing. A name is
looked up among the built-ins, then among the installed entry points of the group `mosn_mp.<kind>s`; `package.module:Class` names
a class directly. Classes are imported when they are resolved, never before.
"""

import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import NamedTuple

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


class Renewal(NamedTuple):
    """What renew() forgot, so that restore() can bring it back. *changed*: the files that differ from what was loaded."""

    changed: tuple[str, ...]
    modules: dict[str, ModuleType]
    resolved: dict[tuple[str, str], object]
    stamps: dict[str, "Stamp"]


class Stamp(NamedTuple):
    """A module's source as it was when it was loaded."""

    file: str
    modified_ns: int
    size: int


class Catalogue:
    """Names of each kind and the objects they stand for."""

    def __init__(self, places: Mapping[str, Mapping[str, str]]) -> None:
        self._places = {kind: dict(names) for kind, names in places.items()}
        self._resolved: dict[tuple[str, str], object] = {}
        self._entry_points: dict[str, dict[str, str]] = {}
        self._tops: set[str] = set()  # packages and modules of users, of which something was resolved
        self._directories: set[str] = set()  # of their python_path
        self._stamps: dict[str, Stamp] = {}  # of users' modules, by module name
        self._foreign: set[str] = set()  # modules that were there before the first of a user's: never loaded anew

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
                self._directories.add(os.path.join(os.path.realpath(directory), ""))
                if directory not in sys.path:
                    sys.path.append(directory)
            if not place.startswith("mosn_mp."):
                self._foreign = self._foreign or set(sys.modules)
                self._tops.add(place.partition(":")[0].partition(".")[0])
            try:
                self._resolved[key] = _import(place)
            finally:
                self._stamp_modules()
        return self._resolved[key]

    def stamps(self) -> dict[str, Stamp]:
        """The sources of users' modules as they are served, by module name."""
        return dict(self._stamps)

    def expect(self, stamps: Mapping[str, Stamp]) -> None:
        """What is served was made of *stamps*, whoever loaded that: renew() compares with them, not with what lies there now."""
        self._stamps = dict(stamps)

    def renew(self) -> Renewal | None:
        """Forget users' modules, all of them, if one of their files changed since it was loaded: resolve() loads them anew.

        All, because one imports the other by name. What was made of the old code goes on with it. None: nothing changed.
        """
        changed = [name for name, stamp in self._stamps.items() if _stamp(stamp.file) != stamp]
        if not changed:
            return None
        files = [self._stamps[name].file for name in changed]
        for file in files:
            # Python trusts a .pyc whose source has the same size and the same second of change: an edit would be missed.
            with contextlib.suppress(OSError, NotImplementedError):
                os.unlink(importlib.util.cache_from_source(file))
        mine = {key: found for key, found in self._resolved.items() if self._is_users(key)}
        renewal = Renewal(tuple(sorted(files)), {}, mine, self._stamps)
        self._forget(renewal.modules)
        importlib.invalidate_caches()
        return renewal

    def restore(self, renewal: Renewal) -> None:
        """Take *renewal* back: what was loaded since then is forgotten."""
        self._forget({})
        sys.modules.update(renewal.modules)
        self._resolved.update(renewal.resolved)
        self._stamps = renewal.stamps

    def _forget(self, forgotten: dict[str, ModuleType]) -> None:
        for name in self._stamps:
            if name in sys.modules:
                forgotten[name] = sys.modules.pop(name)
        self._resolved = {key: found for key, found in self._resolved.items() if not self._is_users(key)}
        self._stamps = {}

    def _is_users(self, key: tuple[str, str]) -> bool:
        return not self._places[key[0]].get(key[1], "").startswith("mosn_mp.")

    def _stamp_modules(self) -> None:
        """Remember the sources of users' modules that are loaded now and were not before."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not file or not file.endswith(".py") or name in self._stamps or name in self._foreign:
                continue
            if name.startswith("mosn_mp."):
                continue
            is_beside = os.path.realpath(file).startswith(tuple(self._directories)) and "-packages/" not in file
            if name.partition(".")[0] in self._tops or is_beside:
                self._stamps[name] = _stamp(file)

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


def _stamp(file: str) -> Stamp:
    try:
        status = os.stat(file)
    except OSError:
        return Stamp(file, 0, -1)
    return Stamp(file, status.st_mtime_ns, status.st_size)


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
