"""Changes of the served configuration that come as JSON and not as a file: MOSN's debug API, and `mosn_mp host weight`.

An edit is judged as a file is: it is put into the tree of what is served, and that is decoded and checked. What the edit leaves
alone stands in the tree as it is served, a struct, and is not looked at again: an edit costs what it changes, not what there is.
What is wrong with the edit is placed in its own text (`config.hosts[1].address`), what it breaks elsewhere is named by its path
in the whole.
Source: MOSN pkg/admin/debug/debug_api.go, pkg/router/routers_impl.go (AddRoute, RemoveAllRoutes).
"""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from mosn_mp.config.decoding.decode import Decoder
from mosn_mp.config.load import Report, judge
from mosn_mp.config.model import Config, Frozen, Name
from mosn_mp.config.problems import ConfigErrors, Finding, Findings, Path, Problem, listing, nearest, path_text, show
from mosn_mp.config.source.read import read_json
from mosn_mp.config.source.source import Source
from mosn_mp.controller.config_tree import open_struct
from mosn_mp.plugin import CATALOGUE, Catalogue

RUNNING = "the running configuration"

Tree = dict[str, Any]


class ConfigEdit(Frozen, frozen=True, kw_only=True):
    """The body of POST /debug/update_config: the listener, router or cluster of that name is *config* from now on."""

    type: Annotated[str, Meta(extra={"choices": ("listener", "router", "cluster", "extend"), "what": "type"})]
    config: Any


class RouteEdit(Frozen, frozen=True, kw_only=True):
    """The body of POST /debug/update_route."""

    type: Annotated[str, Meta(extra={"choices": ("add", "remove"), "what": "type"})]
    config: Any


class RouteAddition(Frozen, frozen=True, kw_only=True):
    """`config` of the type `add`: a route for the end of the virtual host of *domain*."""

    router_config_name: Name
    domain: Name
    route: Any


class RouteRemoval(Frozen, frozen=True, kw_only=True):
    """`config` of the type `remove`: the virtual host of *domain* loses all routes."""

    router_config_name: Name
    domain: Name
    route: Any = None  # MOSN reads the same struct for both


class WeightEdit(Frozen, frozen=True, kw_only=True):
    """What `mosn_mp host weight` sends."""

    cluster: Name
    address: Name
    weight: Any


class Edited(Struct, frozen=True):
    """Where a part of the edit's text stands in the edited tree: the value at *source* is now that at *target*."""

    source: Path
    target: Path


class Editor:
    """The tree of what is served, opened where one edit is made to it; what cannot be done is an error in *findings*."""

    def __init__(self, served: Config, findings: Findings) -> None:
        self.tree: Tree = open_struct(served)
        self.findings = findings

    def update_config(self, value: object) -> Edited | None:
        """Put in one listener, router or cluster, or extensions."""
        edit = self._read(ConfigEdit, value, ())
        if edit is None:
            return None
        if edit.type == "extend":
            return self._extend(edit.config)
        keys: dict[str, tuple[Path, tuple[str, ...]]] = {
            "listener": (("servers", 0, "listeners"), ("name", "address")),
            "router": (("servers", 0, "routers"), ("router_config_name",)),
            "cluster": (("cluster_manager", "clusters"), ("name",)),
        }
        path, names = keys[edit.type]
        entries: list[Any] = self._at(path)
        name = _name(edit.config, names)
        index = next((i for i, entry in enumerate(entries) if name and _name(entry, names) == name), len(entries))
        entries[index:] = [edit.config, *entries[index + 1 :]]
        return Edited(("config",), (*path, index))

    def _extend(self, config: object) -> Edited:
        """MOSN takes a list of objects with type and config; older versions an object with the types as keys."""
        self.tree["extends"] = config
        return Edited(("config",), ("extends",))

    def update_route(self, value: object) -> Edited | None:
        """Add a route to a virtual host, or take all of them away."""
        edit = self._read(RouteEdit, value, ())
        if edit is None:
            return None
        if edit.type == "add":
            addition = self._read(RouteAddition, edit.config, ("config",))
            found = addition and self._find_host(addition.router_config_name, addition.domain)
            if not found:
                return None
            routes = self._at(found).setdefault("routers", [])
            routes.append(addition.route)
            return Edited(("config", "route"), (*found, "routers", len(routes) - 1))
        removal = self._read(RouteRemoval, edit.config, ("config",))
        found = removal and self._find_host(removal.router_config_name, removal.domain)
        if not found:
            return None
        self._at(found)["routers"] = []
        return Edited(("config",), (*found, "routers"))

    def host_weight(self, value: object) -> Edited | None:
        """Give a host of a cluster another weight."""
        edit = self._read(WeightEdit, value, ())
        if edit is None:
            return None
        path: Path = ("cluster_manager", "clusters")
        index = self._find(path, "name", edit.cluster, "cluster", ("cluster",))
        if index is None:
            return None
        path = (*path, index, "hosts")
        index = self._find(path, "address", edit.address, f"host of {show(edit.cluster)}", ("address",))
        if index is None:
            return None
        self._at((*path, index))["weight"] = edit.weight
        return Edited(("weight",), (*path, index, "weight"))

    def _read(self, cls: type[Any], value: object, path: Path) -> Any:
        made = Decoder(self.findings).decode_struct(cls, value, path)
        return None if self.findings.errors else made

    def _at(self, path: Path) -> Any:
        """What stands at *path*, to be changed: every struct on the way to it is opened."""
        found: Any = self.tree
        for step in path:
            if isinstance(found[step], Struct):
                found[step] = open_struct(found[step])
            found = found[step]
        return found

    def _find(self, path: Path, key: str, name: str, what: str, asked_at: Path) -> int | None:
        """The index of the entry of the list at *path* whose *key* is *name*."""
        names = [_name(entry, (key,)) for entry in self._at(path)]
        if name in names:
            return names.index(name)
        near = nearest(name, names)
        problem = f"there is no {what} {show(name)}" + ("" if near else f"; there are {listing(names)}")
        self.findings.error(asked_at, problem, value=name, suggestion=near)
        return None

    def _find_host(self, router: str, domain: str) -> Path | None:
        """The path of the virtual host that requests to *domain* go to."""
        path: Path = ("servers", 0, "routers")
        index = self._find(path, "router_config_name", router, "router", ("config", "router_config_name"))
        if index is None:
            return None
        path = (*path, index, "virtual_hosts")
        asked = domain.lower()
        hosts = {str(name).lower(): at for at, host in enumerate(self._at(path)) for name in _of(host, "domains")}
        suffixes = [name for name in hosts if name.startswith("*") and asked.endswith(name[1:]) and len(asked) >= len(name)]
        found = hosts.get(asked, hosts[max(suffixes, key=len)] if suffixes else hosts.get("*"))
        if found is None:
            problem = f"no virtual host of {show(router)} serves {show(domain)}; there are {listing([*hosts])}"
            self.findings.error(("config", "domain"), problem, value=domain)
            return None
        return (*path, found)


EDITS: dict[str, Callable[[Editor, object], Edited | None]] = {
    "update_config": Editor.update_config,
    "update_route": Editor.update_route,
    "host weight": Editor.host_weight,
}


def check_edit(served: Config, edit: str, body: bytes, path: str, catalogue: Catalogue = CATALOGUE) -> Report:
    """What *served* (from the file *path*) becomes by *edit*, a key of EDITS, with the JSON *body*; or all that is wrong."""
    try:
        source = read_json(edit, body.decode())
    except UnicodeDecodeError as e:
        problem = Problem(file=edit, line=0, column=0, path="", value="", problem=f"not UTF-8 text at byte {e.start}")
        return Report(config=None, errors=(problem,))
    except ConfigErrors as e:
        return Report(config=None, errors=e.errors)
    findings = Findings()
    editor = Editor(served, findings)
    edited = None
    with findings.bounded():
        edited = EDITS[edit](editor, source.value)
    if edited is None:
        return Report(config=None, errors=tuple(map(source.problem, findings.errors)))
    config = judge(editor.tree, path, findings, catalogue, served=served)
    errors, warnings = (tuple(_place(found, source, edited) for found in some) for some in (findings.errors, findings.warnings))
    return Report(config=config, errors=errors, warnings=warnings)


def _place(finding: Finding, source: Source, edited: Edited) -> Problem:
    size = len(edited.target)
    if finding.path[:size] == edited.target:
        return source.problem(finding._replace(path=(*edited.source, *finding.path[size:])))
    return Problem(
        file=RUNNING,
        line=0,
        column=0,
        path=path_text(finding.path),
        value=finding.value,
        problem=finding.problem,
        suggestion=finding.suggestion,
    )


def _name(entry: object, keys: tuple[str, ...]) -> str:
    """What *entry* is called: the first of *keys* that it has."""
    found = (_of(entry, key) for key in keys)
    return next((name for name in found if isinstance(name, str) and name), "")


def _of(entry: object, key: str) -> Any:
    """The value of *key* in *entry*, open or not; None if it has none."""
    return entry.get(key) if isinstance(entry, dict) else getattr(entry, key, None)
