"""Refuses to start on a hot module that would run uncompiled, or compiled from an older source than the one beside it.

A hot module is a `.py` with a `.pxd` of the same name. Uncompiled it would work, fifty times slower: worse than not starting.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_FIX = "compile them: python scripts/build_hooks/hot_modules.py (in the source tree), or install anew: pip install ."


class HotModuleError(Exception):
    """Hot modules that must not run as they are."""


def check_hot_modules(package: Path) -> None:
    """Raise HotModuleError, naming all of them, if a hot module under directory *package* is uncompiled or stale.

    Staleness is judged by modification times, in a source tree only: an installer sets them as it likes.
    """
    is_source_tree = (package.parent / "pyproject.toml").exists()
    problems = []
    for declaration in sorted(package.rglob("*.pxd")):
        source = declaration.with_suffix(".py")
        if source.exists():
            problem = _problem(source, declaration, is_source_tree)
            if problem:
                name = ".".join((package.name, *source.relative_to(package).with_suffix("").parts))
                problems.append(f"{name} {problem}")
    if problems:
        raise HotModuleError(f"{'; '.join(problems)}. {_FIX}")


def check_loaded() -> None:
    """Raise HotModuleError if a hot module was imported from its source (something found the .py before the extension)."""
    plain = [
        name
        for name, module in list(sys.modules.items())
        if name.startswith("mosn_mp.")
        and (file := getattr(module, "__file__", None))
        and file.endswith(".py")
        and Path(file).with_suffix(".pxd").exists()
    ]
    if plain:
        raise HotModuleError(f"imported uncompiled: {', '.join(sorted(plain))}. {_FIX}")


def _problem(source: Path, declaration: Path, is_source_tree: bool) -> str:
    for suffix in EXTENSION_SUFFIXES:
        extension = source.with_suffix(suffix)
        if extension.exists():
            built_at = extension.stat().st_mtime
            is_stale = is_source_tree and built_at < max(source.stat().st_mtime, declaration.stat().st_mtime)
            return "is older than its source" if is_stale else ""
    return "is not compiled"
