"""The build step of the hot modules: every mosn_mp module with a .pxd of the same name beside it is compiled.

A .pxd without such a .py only declares C names for others. `pip install .` comes here through setuptools' build_ext; run as a
script (`python scripts/build_hooks/hot_modules.py [-f] [module ...]`) it compiles in place what changed since the last time.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parents[2]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "infer_types": True,
    "always_allow_keywords": False,
}

# CYTHON_FAST_THREAD_STATE=0: Cython's direct access to the exception state and greenlet's swapping of it do not go
# together on CPython >= 3.11 (gevent builds with the same switch).
MACROS: list[tuple[str, str | None]] = [("CYTHON_FAST_THREAD_STATE", "0")]
# -g1: what a stack trace needs; CPython's own -g would take the compiler a fifth more time.
FLAGS = ["-O2", "-g1", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-unreachable-code"]


# Where in-place builds keep what they compiled, so that only what changed is compiled again.
IN_PLACE_LIB = "build/in_place"
IN_PLACE_TEMP = "build/temp"


def hot_sources() -> list[Path]:
    """Paths, relative to the project, of all .py files that have a .pxd beside them."""
    return sorted(p.relative_to(ROOT) for p in (ROOT / "mosn_mp").rglob("*.py") if p.with_suffix(".pxd").exists())


def extensions(only: set[str] | None = None) -> list[Extension]:
    """The Extension of each hot module (of those named in *only*)."""
    import greenlet

    headers = str(Path(greenlet.__file__).resolve().parents[1])
    found = []
    for source in hot_sources():
        name = ".".join(source.with_suffix("").parts)
        if only is None or name in only:
            found.append(
                Extension(name, [str(source)], include_dirs=[headers], define_macros=MACROS, extra_compile_args=FLAGS)
            )
    return found


def translate(modules: list[Extension], force: bool) -> list[Extension]:
    """*modules* with their sources turned into C under build/cython (those whose sources changed, or with *force* all)."""
    translated: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        modules, compiler_directives=DIRECTIVES, build_dir="build/cython", quiet=True, force=force, nthreads=os.cpu_count() or 1
    )
    return translated


@contextlib.contextmanager
def turn_to_build() -> Iterator[None]:
    """One build at a time: two would write the same files under build/."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class BuildHot(build_ext):
    """build_ext that turns the hot modules into C before it compiles them."""

    def finalize_options(self) -> None:
        os.chdir(ROOT)
        super().finalize_options()
        if self.editable_mode:  # share the objects of build_in_place: what is up to date is only copied
            self.build_lib, self.build_temp = IN_PLACE_LIB, IN_PLACE_TEMP
        if not self.parallel:
            self.parallel = os.cpu_count() or 1

    def run(self) -> None:
        with turn_to_build():
            names = {module.name for module in self.extensions}
            sources = {module.name: module.sources for module in translate(extensions(names), bool(self.force))}
            for module in self.extensions:
                module.sources = sources[module.name]
            super().run()


class SourcesWithHooks(sdist):
    """sdist that carries these hooks: what unpacks it must be able to build it."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        hooks = [str(p.relative_to(ROOT)) for p in sorted((ROOT / "scripts/build_hooks").glob("*.py"))]
        super().make_release_tree(base_dir, [*files, *hooks])


def build_in_place(names: list[str], force: bool) -> None:
    """Compile what changed (or, with *force*, all) of the hot modules *names* (none = all) next to their sources."""
    from setuptools import Distribution

    os.chdir(ROOT)
    with turn_to_build():
        modules = translate(extensions(set(names) or None), force)
        command = build_ext(Distribution({"name": "mosn_mp", "ext_modules": modules}))
        command.inplace = True
        command.force = force
        command.parallel = os.cpu_count() or 1
        command.build_lib, command.build_temp = IN_PLACE_LIB, IN_PLACE_TEMP
        command.ensure_finalized()
        command.run()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    build_in_place([a for a in arguments if a != "-f"], "-f" in arguments)
