"""A hot module that would run uncompiled keeps the program from starting."""

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from mosn_mp.master.hot_check import HotModuleError, check_hot_modules


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A source tree with one hot module that is compiled and fresh."""
    (tmp_path / "pyproject.toml").touch()
    inner = tmp_path / "thing" / "deep"
    inner.mkdir(parents=True)
    for name in ("hot.py", "hot.pxd", "plain.py", "only_names.pxd"):
        (inner / name).touch()
        os.utime(inner / name, (1000, 1000))
    (inner / f"hot{EXTENSION_SUFFIXES[0]}").touch()
    return tmp_path / "thing"


def test_a_compiled_tree_passes(package: Path) -> None:
    check_hot_modules(package)


def test_an_uncompiled_module_is_named(package: Path) -> None:
    (package / "deep" / "warm.py").touch()
    (package / "deep" / "warm.pxd").touch()
    with pytest.raises(HotModuleError, match=r"thing\.deep\.warm is not compiled.*hot_modules\.py"):
        check_hot_modules(package)


@pytest.mark.parametrize("changed", ["hot.py", "hot.pxd"])
def test_a_stale_module_is_named(package: Path, changed: str) -> None:
    built_at = (package / "deep" / f"hot{EXTENSION_SUFFIXES[0]}").stat().st_mtime
    os.utime(package / "deep" / changed, (built_at + 5, built_at + 5))
    with pytest.raises(HotModuleError, match=r"thing\.deep\.hot is older than its source"):
        check_hot_modules(package)


def test_times_mean_nothing_once_installed(package: Path) -> None:
    (package.parent / "pyproject.toml").unlink()
    os.utime(package / "deep" / "hot.py", (1e10, 1e10))
    check_hot_modules(package)
