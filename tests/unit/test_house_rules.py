"""The rules of the house bite: each test breaks one in a small tree and expects the checker to name it and fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class SampleTree:
    """A project tree with the real setup.cfg and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(ROOT / "setup.cfg", root / "setup.cfg")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def check(self) -> tuple[int, str]:
        """Exit code and output of the checker on this tree."""
        run = subprocess.run([sys.executable, ROOT / "scripts/house", self.root], capture_output=True, text=True, timeout=30)
        assert not run.stderr, run.stderr
        return run.returncode, run.stdout

    def refused_because(self, path: str, text: str) -> str:
        """Output of the checker, which must fail, with *text* at *path*."""
        self.write(path, text)
        code, output = self.check()
        assert code == 1, output
        assert path in output
        return output


@pytest.fixture
def tree(tmp_path: Path) -> SampleTree:
    return SampleTree(tmp_path)


def test_a_tree_that_keeps_the_rules_passes(tree: SampleTree) -> None:
    tree.write("mosn_mp/net/pool.py", '"""Pools."""\n\nfrom mosn_mp.codec.codec import Codec\nfrom mosn_mp.net import dial\n')
    tree.write("mosn_mp/codec/codec.pxd", "from mosn_mp.buffer.buf cimport Buf\n")
    tree.write("mosn_mp/codec/__init__.py", '"""Codecs."""\n\nfrom mosn_mp.codec.codec import Codec\n\n__all__ = ["Codec"]\n')
    assert tree.check() == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "import mosn_mp.net.reactor",
        "from mosn_mp.net import reactor",
        "from mosn_mp import net",
        "from ..net.reactor import Reactor",
        "from .. import net",
        "from cython.cimports.mosn_mp.net.reactor import Reactor",
        "def load():\n    from mosn_mp.net import reactor",
    ],
)
def test_an_import_from_a_floor_above_is_refused(tree: SampleTree, line: str) -> None:
    assert "floor above" in tree.refused_because("mosn_mp/codec/http1.py", line + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "from mosn_mp.net.reactor cimport Reactor",
        "from ..net.reactor cimport Reactor, Task",
        "cimport mosn_mp.net.reactor",
        "from mosn_mp.net cimport reactor as r",
        "from mosn_mp.net cimport (\n    libc,\n    reactor,\n)",
    ],
)
def test_a_cimport_from_a_floor_above_is_refused_in_a_pxd(tree: SampleTree, line: str) -> None:
    assert "floor above" in tree.refused_because("mosn_mp/codec/codec.pxd", line + "\n")


def test_a_room_of_net_does_not_cimport_from_one_above_it(tree: SampleTree) -> None:
    line = "from mosn_mp.net.pool.host_pool cimport HostPool\n"
    assert "floor above" in tree.refused_because("mosn_mp/net/connection/listener.pxd", line)


def test_neighbours_on_one_floor_do_not_import_each_other(tree: SampleTree) -> None:
    line = "from cython.cimports.mosn_mp.cluster.host import Host\n"
    assert "neighbour" in tree.refused_because("mosn_mp/route/router.py", line)


def test_the_worker_and_the_controller_do_not_import_each_other(tree: SampleTree) -> None:
    assert "neighbour" in tree.refused_because("mosn_mp/worker/boot.py", "from mosn_mp.controller import loader\n")


def test_only_the_controller_imports_the_admin_api(tree: SampleTree) -> None:
    assert "admin API" in tree.refused_because("mosn_mp/master/supervisor.py", "from mosn_mp.admin import server\n")


def test_a_package_without_a_floor_is_refused(tree: SampleTree) -> None:
    assert "has no floor" in tree.refused_because("mosn_mp/extras/thing.py", "import mosn_mp.errors\n")


@pytest.mark.parametrize("package", ["codec", "route", "cluster", "config", "buffer"])
@pytest.mark.parametrize("module", ["socket", "ssl", "gevent", "threading", "time"])
def test_a_pure_floor_knows_no_socket_thread_or_clock(tree: SampleTree, package: str, module: str) -> None:
    assert "Pure floors" in tree.refused_because(f"mosn_mp/{package}/thing.py", f"import {module}\n")


@pytest.mark.parametrize(
    "line",
    [
        "from libc.time cimport time",
        "from posix.time cimport clock_gettime",
        'cdef extern from "<time.h>" nogil:\n    long time(long* t)',
        'cdef extern from "sys/socket.h" nogil:\n    int AF_INET\n\n    int socket(int domain, int type, int protocol)',
        'cdef extern from *:\n    """\n    #include <sys/epoll.h>\n    """',
    ],
)
def test_a_pure_floor_gets_no_clock_or_socket_from_c_either(tree: SampleTree, line: str) -> None:
    assert "Pure floors" in tree.refused_because("mosn_mp/codec/codec.pxd", line + "\n")


def test_a_pure_floor_may_use_constants_and_structs_of_socket_headers(tree: SampleTree) -> None:
    text = 'cdef extern from "sys/socket.h" nogil:\n    int AF_INET\n\ncdef int size(int x)\n'
    tree.write("mosn_mp/cluster/sockaddr.pxd", text)
    assert tree.check() == (0, "")


def test_the_floors_above_may_read_clocks_and_use_sockets(tree: SampleTree) -> None:
    tree.write("mosn_mp/net/clock.py", "import socket\nimport time\n")
    tree.write("mosn_mp/net/libc.pxd", "from posix.time cimport clock_gettime\n")
    assert tree.check() == (0, "")


def test_a_file_of_more_than_800_lines_is_refused(tree: SampleTree) -> None:
    assert "801 lines" in tree.refused_because("mosn_mp/net/pool.py", "x = 1\n" * 801)


def test_a_file_of_more_than_300_lines_is_warned_about(tree: SampleTree) -> None:
    tree.write("mosn_mp/net/pool.py", "x = 1\n" * 301)
    code, output = tree.check()
    assert (code, "warning: 301 lines" in output) == (0, True)


@pytest.mark.parametrize(
    ("suffix", "head"), [("py", '"""Pools.\n\nOne piece: one table.\n"""\n'), ("pxd", "# One piece: one table.\n\n")]
)
def test_a_large_file_may_say_why_it_is_one_piece(tree: SampleTree, suffix: str, head: str) -> None:
    tree.write(f"mosn_mp/net/pool.{suffix}", head + "x = 1\n" * 301)
    assert tree.check() == (0, "")


@pytest.mark.parametrize("head", ['"""Pools.\n\nOne piece:\n"""\n', '"""Pools."""\n\n# One piece: it is long.\n'])
def test_a_large_file_gives_its_reason_where_it_begins(tree: SampleTree, head: str) -> None:
    tree.write("mosn_mp/net/pool.py", head + "x = 1\n" * 301)
    assert "warning" in tree.check()[1]


def test_no_reason_excuses_more_than_800_lines(tree: SampleTree) -> None:
    head = '"""Pools.\n\nOne piece: every line needs the one before.\n"""\n'
    assert "is refused" in tree.refused_because("mosn_mp/net/pool.py", head + "x = 1\n" * 800)


def test_a_function_of_more_than_60_lines_is_refused(tree: SampleTree) -> None:
    body = "def long() -> None:\n" + "    x = 1\n" * 60
    assert "long has 61 lines" in tree.refused_because("mosn_mp/net/pool.py", body)


def test_a_function_of_more_than_40_lines_is_warned_about(tree: SampleTree) -> None:
    tree.write("mosn_mp/net/pool.py", "def long() -> None:\n" + "    x = 1\n" * 40)
    code, output = tree.check()
    assert (code, "warning: long has 41 lines" in output) == (0, True)


@pytest.mark.parametrize("name", ["utils.py", "common.py", "helpers.py", "types.py", "misc.py"])
@pytest.mark.parametrize("top", ["mosn_mp/net", "tests/unit"])
def test_attic_names_are_refused(tree: SampleTree, top: str, name: str) -> None:
    assert "says nothing" in tree.refused_because(f"{top}/{name}", "")


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME"])
def test_notes_to_do_it_later_are_refused(tree: SampleTree, word: str) -> None:
    assert word in tree.refused_because("mosn_mp/net/pool.py", f"x = 1  # {word}: better\n")


def test_an_import_inside_a_function_is_refused(tree: SampleTree) -> None:
    assert "imports late" in tree.refused_because("mosn_mp/net/pool.py", "def dial() -> None:\n    import socket\n")


def test_code_in_an_init_file_is_refused(tree: SampleTree) -> None:
    assert "no code" in tree.refused_because("mosn_mp/net/__init__.py", '"""Net."""\n\nSTATE = {}\n')


def test_a_page_that_names_a_missing_file_is_refused(tree: SampleTree) -> None:
    assert "scripts/gone does not exist" in tree.refused_because("README.md", "Run `scripts/gone`.\n")


def test_a_link_that_leads_nowhere_is_refused(tree: SampleTree) -> None:
    assert "leads nowhere" in tree.refused_because("docs/config.md", "[see](filters.md#top)\n")


def test_a_page_may_name_what_exists(tree: SampleTree) -> None:
    tree.write("conf/demo.json", "{}")
    tree.write("docs/config.md", "[demo](../conf/demo.json) conf/demo.json, conf/*.json. https://example.org/docs/x\n")
    assert tree.check() == (0, "")


def run_tool(root: Path, *command: str) -> tuple[int, str]:
    """Exit code and output of a ready-made tool with the project's own settings, run in *root*."""
    run = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, timeout=50)
    return run.returncode, run.stdout + run.stderr


def test_ruff_refuses_what_the_house_forbids(tree: SampleTree) -> None:
    shutil.copy(ROOT / "pyproject.toml", tree.root)
    body = "    try:\n        print(1)\n    except Exception:\n        pass\n"
    tree.write("mosn_mp/net/pool.py", "import os\n\ndef Dial():\n" + body)
    code, output = run_tool(tree.root, "ruff", "check", "--no-cache", "--output-format", "concise", ".")
    assert code == 1
    for rule in ("F401", "N802", "T201", "BLE001", "D100", "D103"):
        assert rule in output


def test_mypy_refuses_a_function_without_types(tree: SampleTree) -> None:
    tree.write("mosn_mp/net/pool.py", "def dial(host):\n    return host\n")
    code, output = run_tool(tree.root, "mypy", "--config-file", "setup.cfg", "--cache-dir", "cache", "mosn_mp/net/pool.py")
    assert (code, "no-untyped-def" in output) == (1, True), output


def test_import_linter_refuses_an_import_from_a_floor_above(tree: SampleTree) -> None:
    for package in ("net", "filter", "codec", "route", "cluster", "ipc", "observe", "config", "buffer", "worker", "controller"):
        tree.write(f"mosn_mp/{package}/__init__.py", "")
    for module in ("__init__", "errors", "steps", "version", "plugin", "cli"):
        tree.write(f"mosn_mp/{module}.py", "")
    for package in ("master", "proxy", "admin"):
        tree.write(f"mosn_mp/{package}/__init__.py", "")
    tree.write("mosn_mp/codec/http1.py", "import mosn_mp.net\n")
    tree.write("mosn_mp/buffer/arena.py", "import time\n")
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    run = subprocess.run([sys.executable, "-c", script], cwd=tree.root, capture_output=True, text=True, timeout=50)
    assert run.returncode == 1, run.stderr
    assert "mosn_mp.codec is not allowed to import mosn_mp.net" in run.stdout
    assert "mosn_mp.buffer.arena -> time" in run.stdout
