"""The source of users' modules: what of it travels with a snapshot, how it is read from disk, and what a text may import."""

import ast
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name
from typing import NamedTuple

# Of all files together. A snapshot is memory, in each worker once more; filters and codecs have some ten kilobytes.
MAX_BYTES = 16 << 20
_CALLS = ("import_module", "__import__")


class Module(NamedTuple):
    """A module as it was found. *text* None: an extension module, loaded from *file*; without a file: a namespace package."""

    file: str
    text: bytes | None
    path: list[str] | None = None  # of a package: where its modules are


class Sources(NamedTuple):
    """What travels of users' Python."""

    modules: dict[str, Module]
    directories: list[str]  # where they were found
    installed: dict[str, dict[str, str]]  # entry points: kind -> name -> place


NO_SOURCES = Sources({}, [], {})


def find_on_disk(name: str, path: Sequence[str] | None, directories: Iterable[str]) -> ModuleSpec | None:
    """What Python would import as *name* if *directories* followed sys.path; *path* is that of its package, if it has one."""
    return PathFinder.find_spec(name, [*sys.path, *directories] if path is None else path)


def read_module(found: ModuleSpec) -> Module | None:
    """The Module that *found* is; None if it is none that we handle (a zip file, a lone .pyc). OSError: it cannot be read."""
    path = list(found.submodule_search_locations) if found.submodule_search_locations is not None else None
    if isinstance(found.loader, SourceFileLoader):
        return Module(found.loader.path, _read(found.loader.path), path)
    if isinstance(found.loader, ExtensionFileLoader):
        return Module(found.loader.path, None, path)
    return Module("", None, path) if found.origin is None and path else None


def _read(file: str) -> bytes:
    with open(file, "rb") as opened:
        text = opened.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"more than {MAX_BYTES >> 20} MiB of Python", file)
    return text


def package_of(name: str, module: Module) -> str:
    """What *name* imports relative to: "" if it is in no package."""
    return name if module.path is not None else name.rpartition(".")[0]


def named_in(name: str, module: Module) -> Iterator[str]:
    """What the import statements of *module* may mean, whenever they run."""
    for written, members in imports_in(module.text or b""):
        try:
            target = resolve_name(written, package_of(name, module))
        except ImportError:  # more dots than there are packages
            continue
        yield target
        yield from (f"{target}.{member}" for member in members)


def files_in(package: str, path: Iterable[str]) -> Iterator[str]:
    """The modules of *package* that are files in the directories of its *path*."""
    for directory in path:
        try:
            files = sorted(os.listdir(directory))
        except OSError:
            continue
        stems = [file[:-3] for file in files if file.endswith(".py")]
        yield from (f"{package}.{stem}" for stem in stems if stem.isidentifier() and not stem.startswith("__"))


@lru_cache(maxsize=1024)  # a reload asks again for what did not change
def imports_in(text: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the import statements in *text* name, wherever they stand: (module, with its leading dots; names taken from it)."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # importing it will say why
        return ()
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.extend((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append(("." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in _CALLS and isinstance(node.args[0].value, str) and node.args[0].value:
                found.append((node.args[0].value, ()))
    return tuple(dict.fromkeys(found))
