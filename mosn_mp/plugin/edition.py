"""One state of users' Python: the source that was accepted (or is being judged), and the modules that were made of it.

What belongs to an edition: modules that the configuration names, and their packages; everything in a directory of python_path
but what is installed there (`-packages` in its path).
What of it travels (sources()): what was imported while the configuration was judged; what an import statement in one of these
names, wherever it stands, and so on; in a package also the files beside these.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from types import ModuleType

from mosn_mp.errors import ConfigError
from mosn_mp.plugin.loader import SnapshotLoader, show_lines
from mosn_mp.plugin.source import (
    MAX_BYTES,
    NO_SOURCES,
    Module,
    Sources,
    files_in,
    find_on_disk,
    named_in,
    package_of,
    read_module,
)

_NEVER = sys.stdlib_module_names | {"mosn_mp"}


class Edition:
    """Begins with *sources*, and finds the rest on disk, unless *is_sealed*."""

    def __init__(self, sources: Sources = NO_SOURCES, is_sealed: bool = False) -> None:
        self.modules = dict(sources.modules)
        self._bytes = sum(len(module.text or b"") for module in self.modules.values())
        self.is_sealed = is_sealed
        self.is_new_code = True  # nothing of an edition before it is in use
        self.resolved: dict[str, object] = {}  # by place
        self.installed = dict(sources.installed)
        self.directories = list(sources.directories)
        self._named: set[str] = set()  # modules that the configuration names
        self._loaded: dict[str, Module] = {}
        self._objects: dict[str, ModuleType] = {}  # in sys.modules while this edition is served
        self._unscanned: list[str] = []
        self._listed: set[str] = set()  # packages whose files were looked at

    def successor(self, sources: Sources | None = None, is_sealed: bool = False) -> "Edition":
        """An edition after this one, of *sources* (None: the same), with the modules of this one if none is another there.

        All or none, because one imports the other by name. What was made of the old code goes on with it.
        """
        if sources is None:
            sources = self.sources()
        made = Edition(sources, is_sealed)
        known = {**self.modules, **self._loaded}
        if all(known.get(name, module) == module for name, module in sources.modules.items()):
            made.is_new_code = False
            made.resolved = dict(self.resolved)
            made._named = set(self._named)
            made._loaded = dict(self._loaded)
            made._objects = {**self._objects, **{name: sys.modules[name] for name in self._loaded if name in sys.modules}}
        return made

    def look_anew(self) -> "Edition":
        """A successor for a configuration that is read anew: it says which directories and names count."""
        made = self.successor()
        made.directories, made.installed, made._named = [], {}, set()
        importlib.invalidate_caches()
        return made

    def name(self, module_name: str, python_path: Sequence[str]) -> None:
        """The configuration names *module_name*, which may be in *python_path*; ConfigError if two have its name."""
        self.directories.extend(directory for directory in python_path if directory not in self.directories)
        self._named.add(module_name)
        top = module_name.partition(".")[0]
        mine = self.modules.get(top)
        if self.is_sealed or mine is None or not mine.file:
            return
        found = PathFinder.find_spec(top, list(python_path))
        if found is not None and found.origin and os.path.realpath(found.origin) != os.path.realpath(mine.file):
            problem = f"{mine.file} is imported by the name '{top}' before {found.origin}; give the file another name"
            raise ConfigError("", problem)

    def find_spec(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """How to import *name*, None if it is not for this edition; ModuleNotFoundError if it may not be read from disk."""
        module = self.modules.get(name)
        if module is None:
            found = self._find(name, path)
            if found is None:
                return None
            if self.is_sealed and not isinstance(found.loader, ExtensionFileLoader):
                file = found.origin or list(found.submodule_search_locations or ())[0]
                problem = f"{file} was not accepted together with what imports it: name '{name}' in an import statement"
                raise ModuleNotFoundError(problem, name=name, path=file)
            module = read_module(found)
            if module is None:
                return found
            self._add(name, module)
        return self._spec(name, module)

    def sources(self) -> Sources:
        """All that travels; ConfigError if it is too much."""
        self._scan()
        if self._bytes > MAX_BYTES:
            raise ConfigError("", self._too_much())
        return Sources(dict(self.modules), list(self.directories), dict(self.installed))

    def is_outdated(self) -> bool:
        """Whether a file on disk is another one than was loaded, or would be found elsewhere."""
        self._scan()
        fresh = Edition()
        fresh.directories, fresh._named = self.directories, self._named
        for name in self.modules:
            fresh._add_from_disk(name)
        fresh._scan()
        return fresh.modules != self.modules

    def put_away(self) -> None:
        """Take the modules out of sys.modules."""
        for name in self._loaded:
            if name in sys.modules:
                self._objects[name] = sys.modules.pop(name)

    def bring_back(self) -> None:
        """Put them in again."""
        sys.modules.update(self._objects)
        self._objects = {}
        for module in self._loaded.values():
            show_lines(module)

    def _add(self, name: str, module: Module) -> None:
        self.modules[name] = module
        self._bytes += len(module.text or b"")
        self._unscanned.append(name)

    def _spec(self, name: str, module: Module) -> ModuleSpec | None:
        if module.text is not None:
            self._loaded[name] = module
            show_lines(module)
            loader = SnapshotLoader(name, module.file, module.text)
            return spec_from_file_location(name, loader=loader, submodule_search_locations=module.path)
        if module.file:
            extension = ExtensionFileLoader(name, module.file)
            return spec_from_file_location(name, loader=extension, submodule_search_locations=module.path)
        self._loaded[name] = module
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = module.path
        return spec

    def _find(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """What lies on disk as *name*, if it belongs to this edition."""
        if name.partition(".")[0] in _NEVER:
            return None
        found = find_on_disk(name, path, self.directories)
        return found if found is not None and self._is_mine(name, found) else None

    def _is_mine(self, name: str, found: ModuleSpec) -> bool:
        package = self.modules.get(name.rpartition(".")[0])
        if package is not None and package.text is not None:
            return True
        if any(f"{named}.".startswith(f"{name}.") for named in self._named):
            return True
        places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
        mine = tuple(os.path.join(os.path.realpath(directory), "") for directory in self.directories)
        real = [os.path.realpath(place) for place in places]
        return any(place.startswith(mine) and "-packages/" not in place for place in real)

    def _add_from_disk(self, name: str) -> None:
        """Add *name*, and the packages that it is in, as they lie there, as far as they belong to this edition."""
        path: Sequence[str] | None = None
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            if part not in self.modules:
                found = self._find(part, path)
                try:
                    module = read_module(found) if found is not None else None
                except OSError:  # importing it will say why
                    module = None
                if module is None:
                    return
                self._add(part, module)
            path = self.modules[part].path
            if path is None:
                return

    def _scan(self) -> None:
        """Add what the modules that are new since the last time may import, unless it is too much."""
        while self._unscanned and self._bytes <= MAX_BYTES:
            name = self._unscanned.pop()
            for other in self._may_import(name, self.modules[name]):
                if other not in self.modules:
                    self._add_from_disk(other)

    def _may_import(self, name: str, module: Module) -> Iterator[str]:
        if module.text is None:
            return
        yield from named_in(name, module)
        package = package_of(name, module)
        if package and package not in self._listed:
            self._listed.add(package)
            yield from files_in(package, module.path if module.path is not None else [os.path.dirname(module.file)])

    def _too_much(self) -> str:
        by_top: dict[str, int] = {}
        for name, module in self.modules.items():
            top = name.partition(".")[0]
            by_top[top] = by_top.get(top, 0) + len(module.text or b"")
        largest = max(by_top, key=lambda top: by_top[top])
        return (
            f"the Python files that travel to the workers have {self._bytes / (1 << 20):.1f} MiB, '{largest}' alone "
            f"{by_top[largest] / (1 << 20):.1f}; {MAX_BYTES >> 20} MiB may: install libraries with pip, then they do not travel"
        )
