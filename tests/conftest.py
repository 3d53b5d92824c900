"""What all tests share: hot modules, a printed hypothesis seed, the marks `slow`, `alone`, `unsanitized` and `interop`."""

import fcntl
import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
BUILD = "run scripts/test, or .venv/bin/python scripts/build_hooks/hot_modules.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes (marked slow)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # hypothesis prints the seed of a failed test only; a seed of our own, printed first, repeats the whole run.
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(1 << 32))
    # Its deadline for each example is of wall time, which a busy machine takes for other things; a hang ends by pytest's timeout.
    settings.register_profile("mosn_mp", deadline=None)
    settings.load_profile("mosn_mp")


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis seed: {config.option.hypothesis_seed} (repeat with --hypothesis-seed={config.option.hypothesis_seed})"


def unbuilt_modules() -> list[str]:
    """Hot modules (a .py with a .pxd beside it) that have no compiled file, or one older than its sources."""
    found = []
    for source in sorted((ROOT / "mosn_mp").rglob("*.py")):
        declarations = source.with_suffix(".pxd")
        if declarations.exists():
            built = list(source.parent.glob(f"{source.stem}.*.so"))
            changed_at = max(source.stat().st_mtime, declarations.stat().st_mtime)
            if not built or max(b.stat().st_mtime for b in built) < changed_at:
                found.append(".".join(source.relative_to(ROOT).with_suffix("").parts))
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collectreport(report: pytest.CollectReport) -> None:
    # Only a test that cannot be loaded is stopped: while some modules are being written the tests of others run.
    # A process of `pytest -n` only reports it: its parent hears of it here.
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ and (unbuilt := unbuilt_modules()):
        pytest.exit(f"hot modules are not compiled or out of date ({', '.join(unbuilt)}): {BUILD}", returncode=1)


def pytest_collection_finish(session: pytest.Session) -> None:
    stale = [name for name in unbuilt_modules() if name in sys.modules]
    if stale:
        session.shouldfail = f"hot modules are out of date ({', '.join(stale)}): {BUILD}"
        raise session.Failed(session.shouldfail)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow"):
            if config.getoption("--long"):
                item.add_marker(pytest.mark.timeout(3600), append=False)
            else:
                item.add_marker(pytest.mark.skip(reason="takes minutes: run it by scripts/test --long"))
    items.sort(key=is_alone)


def is_alone(item: pytest.Item) -> bool:
    """Whether no other test may run beside *item*."""
    return any(item.iter_markers("alone")) or any(item.iter_markers("slow"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    # Processes of one run (pytest -n) take turns by a lock of this file. First of all hooks, so that waiting is not test time.
    with open(__file__) as turn:
        fcntl.flock(turn, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)  # closing would leave it to children that a test forked


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    # What a process of `pytest -n` reports goes through a pipe as UTF-8, which has no lone surrogates; tests print and log them.
    return escaped((yield))


def escaped(report: Any) -> Any:
    """*report* with every lone surrogate as its escape."""
    if isinstance(report, str):
        return report.encode(errors="backslashreplace").decode()
    if isinstance(report, dict):
        return {name: escaped(value) for name, value in report.items()}
    if isinstance(report, list | tuple):
        return type(report)(map(escaped, report))
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("unsanitized") and "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer changes what it looks at")
    for marker in item.iter_markers("interop"):
        missing = [name for name in marker.args if not is_installed(name)]
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed here")


def is_installed(name: str) -> bool:
    """Whether the program *name* can be run, or for `python:NAME` the module can be imported."""
    if name.startswith("python:"):
        return importlib.util.find_spec(name.removeprefix("python:")) is not None
    return shutil.which(name, path=program_path()) is not None


def program_path() -> str:
    """PATH with the folders where Debian puts servers, which a user's PATH leaves out."""
    return ":".join([*filter(None, [os.environ.get("PATH")]), "/usr/sbin", "/sbin"])
