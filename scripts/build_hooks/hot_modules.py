"""The build step of the hot modules: every mosn_mp module with a .pxd of the same name beside it is compiled.

A .pxd without such a .py only declares C names for others. `pip install .` comes here through setuptools' build_ext; run as a
script (`python scripts/build_hooks/hot_modules.py [-f] [module ...]`) it compiles in place what changed since the last time.
"""

import fcntl
import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext

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
MACROS = [("CYTHON_FAST_THREAD_STATE", "0")]
FLAGS = ["-O2", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-unreachable-code"]


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


class BuildHot(build_ext):
    """build_ext that fills in the hot modules and turns them into C."""

    def finalize_options(self) -> None:
        os.chdir(ROOT)
        self.distribution.ext_modules = cythonize(
            extensions(), compiler_directives=DIRECTIVES, build_dir="build/cython", quiet=True, force=bool(self.force)
        )
        super().finalize_options()
        if not self.parallel:
            self.parallel = os.cpu_count() or 1


def build_in_place(names: list[str], force: bool) -> None:
    """Compile what changed (or, with *force*, all) of the hot modules *names* (none = all) next to their sources."""
    from setuptools import Distribution

    os.chdir(ROOT)
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        modules = cythonize(
            extensions(set(names) or None), compiler_directives=DIRECTIVES, build_dir="build/cython", quiet=True, force=force
        )
        command = build_ext(Distribution({"name": "mosn_mp", "ext_modules": modules}))
        command.inplace = True
        command.force = force
        command.parallel = os.cpu_count() or 1
        command.build_temp = "build/temp"
        command.ensure_finalized()
        command.run()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    build_in_place([a for a in arguments if a != "-f"], "-f" in arguments)
