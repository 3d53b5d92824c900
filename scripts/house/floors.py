"""The floors of ARCHITECTURE.md, held for Python imports and for the cimports of hot modules alike.

import-linter enforces the same tables of setup.cfg for what it can see: plain imports. C access between hot modules is written
`from cython.cimports.mosn_mp.x import y` in .py and `from mosn_mp.x cimport y` in .pxd, and a C header brings in a clock or a
socket as surely as `import time`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree import Finding, Source, Tree

CIMPORTS = "cython.cimports."
# What a C declaration stands for, so that one list of forbidden modules holds for Python and C.
C_HEADERS = {
    "time.h": "time",
    "sys/time.h": "time",
    "sys/timerfd.h": "time",
    "sys/socket.h": "socket",
    "netinet/in.h": "socket",
    "sys/epoll.h": "select",
    "poll.h": "select",
    "sys/select.h": "select",
    "pthread.h": "threading",
    "threads.h": "threading",
    "openssl/ssl.h": "ssl",
}
C_LIBRARIES = re.compile(r"^(?:libc|posix|cpython)\.(?:sys_)?(\w+)$")
CIMPORT_LINE = re.compile(
    r"^\s*(?:from\s+(?P<source>[.\w]+)\s+c?import\s+(?P<names>\([^)]*\)|[\w, ]+)|c?import\s+(?P<modules>[\w., ]+))", re.M
)
# A header together with what is declared from it; constants and structs touch nothing, functions do.
EXTERN_BLOCK = re.compile(r"^cdef\s+extern\s+from\s+[\"']<?(?P<header>[\w/.]+)>?[\"'].*\n(?P<names>(?:[ \t]+.*\n|\s*\n)*)", re.M)
INCLUDE_LINE = re.compile(r"^\s*#\s*include\s*[<\"](?P<header>[\w/.]+)[>\"]", re.M)


@dataclass(frozen=True)
class Import:
    """That *line* of a source needs *module* (a name it imports from it is appended: it may be a module)."""

    line: int
    module: str


def find(tree: Tree) -> Iterator[Finding]:
    """Every import that goes up, sideways, or out of a pure floor."""
    buildings = layered_packages(tree)
    forbidden = forbidden_pairs(tree)
    for source in [*tree.product(".py"), *tree.product(".pxd")]:
        for needed in imports_of(source):
            for building in buildings:
                yield from wrong_way(source, needed, building)
            yield from refused_imports(source, needed, forbidden)


@dataclass(frozen=True)
class Layered:
    """A package whose parts lie on floors: the whole of it, or the rooms of one floor."""

    package: str
    is_complete: bool  # everything in it has a floor
    ranks: dict[str, tuple[int, bool]]  # name -> (its rank, 0 is the top; whether its neighbours are closed to it)

    def part(self, module: str) -> str:
        """`codec` for mosn_mp.codec.http1.parser in mosn_mp; empty for what is not inside."""
        inside = module.removeprefix(self.package + ".")
        name = inside.partition(".")[0]
        return "" if inside == module or name == "__main__" else name


def layered_packages(tree: Tree) -> list[Layered]:
    """The packages of every `layers` contract."""
    found = []
    for section in contracts(tree, "layers"):
        ranks = {}
        for rank, line in enumerate(tree.lines(section, "layers")):
            for name in re.split(r"[|:]", line):
                ranks[name.strip(" ()")] = (rank, "|" in line)
        is_complete = tree.settings.getboolean(section, "exhaustive", fallback=False)
        found += [Layered(package, is_complete, ranks) for package in tree.lines(section, "containers")]
    return found


def contracts(tree: Tree, kind: str) -> list[str]:
    """The sections of setup.cfg that hold a contract of *kind*."""
    sections = [s for s in tree.settings.sections() if s.startswith("importlinter:contract:")]
    return [s for s in sections if tree.settings.get(s, "type") == kind]


def forbidden_pairs(tree: Tree) -> list[tuple[list[str], list[str], str]]:
    """(source modules, modules they must not import, name of the contract) of every `forbidden` contract."""
    return [
        (tree.lines(section, "source_modules"), tree.lines(section, "forbidden_modules"), tree.settings.get(section, "name"))
        for section in contracts(tree, "forbidden")
    ]


def wrong_way(source: Source, needed: Import, building: Layered) -> Iterator[Finding]:
    """An import that goes up or to a neighbour in *building*."""
    ranks, here, there = building.ranks, building.part(source.module), building.part(needed.module)
    if here and here not in ranks and building.is_complete:
        yield Finding(source.path, 0, f"{building.package}.{here} has no floor: name it in the layers of setup.cfg")
    elif here in ranks and there in ranks and here != there:
        (own, _), (other, is_closed) = ranks[here], ranks[there]
        if other < own:
            yield Finding(source.path, needed.line, f"{source.module} imports {needed.module} from a floor above it")
        elif other == own and is_closed:
            yield Finding(source.path, needed.line, f"{source.module} imports {needed.module}, its neighbour on the same floor")


def refused_imports(source: Source, needed: Import, forbidden: list[tuple[list[str], list[str], str]]) -> Iterator[Finding]:
    """An import that a contract forbids."""
    for modules, refused, name in forbidden:
        if any(is_in(source.module, m) for m in modules) and any(is_in(needed.module, r) for r in refused):
            yield Finding(source.path, needed.line, f"{source.module} imports {needed.module} ({name})")


def is_in(module: str, package: str) -> bool:
    """Whether *module* is *package* or lies inside it."""
    return module == package or module.startswith(package + ".")


def imports_of(source: Source) -> Iterator[Import]:
    """Everything that a .py or .pxd file imports, cimports or includes."""
    if source.path.suffix == ".py":
        yield from python_imports(source)
    else:
        yield from c_imports(source)


def python_imports(source: Source) -> Iterator[Import]:
    """The imports of a .py file, wherever they stand in it."""
    for node in ast.walk(source.syntax):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, c_name(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = resolve(source, "." * node.level + (node.module or ""))
            for alias in node.names:
                yield Import(node.lineno, c_name(f"{base}.{alias.name}"))


def c_imports(source: Source) -> Iterator[Import]:
    """The cimports of a .pxd file, and the C headers it takes functions from."""
    for match in CIMPORT_LINE.finditer(source.text):
        line = source.text.count("\n", 0, match.start(0)) + 1
        if match["source"]:
            base = resolve(source, match["source"])
            names = [n.split(" as ")[0].strip() for n in match["names"].strip("()").split(",")]
            yield from (Import(line, c_name(f"{base}.{name}")) for name in names if name)
        else:
            yield from (Import(line, c_name(m.split(" as ")[0].strip())) for m in match["modules"].split(","))
    headers = [*INCLUDE_LINE.finditer(source.text), *(m for m in EXTERN_BLOCK.finditer(source.text) if "(" in m["names"])]
    for match in headers:
        if match["header"] in C_HEADERS:
            yield Import(source.text.count("\n", 0, match.start(0)) + 1, C_HEADERS[match["header"]])


def resolve(source: Source, written: str) -> str:
    """The absolute form of a module name that may start with dots."""
    name = written.lstrip(".")
    level = len(written) - len(name)
    if not level:
        return name
    package = source.package.split(".")
    return ".".join([*package[: len(package) - level + 1], *([name] if name else [])])


def c_name(module: str) -> str:
    """*module* without cython.cimports; libc.time and posix.time are `time`."""
    module = module.removeprefix(CIMPORTS)
    library = C_LIBRARIES.match(module.rpartition(".")[0]) or C_LIBRARIES.match(module)
    return library[1] if library else module
