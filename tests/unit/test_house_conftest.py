"""What conftest.py promises to every test: seeds are printed, long tests wait for --long, a hang ends, stale builds are named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


needs_xdist = pytest.mark.interop("python:xdist")
however_run = pytest.mark.parametrize("side_by_side", [(), pytest.param(("-n2",), marks=needs_xdist)])


def run_tests(tree: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of pytest on one test file in *tree* with the project's conftest and settings."""
    (tree / "tests").mkdir(exist_ok=True)
    shutil.copy(ROOT / "setup.cfg", tree)
    shutil.copy(ROOT / "tests/conftest.py", tree / "tests")
    (tree / "tests/test_sample.py").write_text("import pytest\n" + text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=50)
    return run.returncode, run.stdout + run.stderr


def make_hot_module(tree: Path) -> Path:
    """mosn_mp.head in *tree*, hot and never compiled."""
    package = tree / "mosn_mp"
    package.mkdir()
    for name in ("__init__.py", "head.pxd"):
        (package / name).touch()
    (package / "head.py").write_text("raise ImportError('uncompiled')\n")
    return package


SAMPLE = """
@pytest.mark.slow
def test_soak(): pass
@pytest.mark.interop('sh', 'no-such-program', 'python:no_such_module')
def test_missing(): pass
@pytest.mark.interop('sh', 'python:json')
def test_there(): pass
"""


def test_long_tests_and_those_against_missing_programs_are_skipped_and_a_seed_is_printed(tmp_path: Path) -> None:
    _, output = run_tests(tmp_path, SAMPLE)
    assert "1 passed, 2 skipped" in output
    assert "takes minutes: run it by scripts/test --long" in output
    assert "no-such-program, python:no_such_module not installed here" in output
    assert "hypothesis seed: " in output


def test_long_tests_run_when_asked_for_and_a_seed_can_be_given(tmp_path: Path) -> None:
    code, output = run_tests(tmp_path, SAMPLE, "--long", "--hypothesis-seed=7")
    assert (code, "2 passed, 1 skipped" in output, "hypothesis seed: 7" in output) == (0, True, True)


HANG = "import os, time\n@pytest.mark.timeout(0.5)\ndef test_hang():\n    time.sleep(30)  # here\n"


def test_a_test_that_hangs_fails_with_the_line_it_hangs_in(tmp_path: Path) -> None:
    code, output = run_tests(tmp_path, HANG)
    assert (code, "time.sleep(30)  # here" in output, "test_hang" in output) == (1, True, True)


@needs_xdist
def test_side_by_side_a_hang_and_the_end_of_a_process_are_named_and_what_is_no_text_is_reported(tmp_path: Path) -> None:
    text = """
def test_abort():
    os.abort()
def test_one():
    print('printed \\ud800')
    assert False, 'said \\ud801'
def test_two(): pytest.skip('why')
"""
    code, output = run_tests(tmp_path, HANG + text, "-n2")
    assert (code, "time.sleep(30)  # here" in output) == (1, True)
    assert "crashed while running 'tests/test_sample.py::test_abort'" in output
    assert 'test_sample.py", line 8 in test_abort' in output
    assert r"printed \ud800" in output
    assert r"said \ud801" in output
    assert "SKIPPED [1] tests/test_sample.py:12: why" in output


@needs_xdist
def test_a_test_that_needs_the_machine_alone_gets_it(tmp_path: Path) -> None:
    sample = """
import os, time
from pathlib import Path
def stay(seconds):
    here = Path(f"running-{os.getpid()}")
    here.touch()
    time.sleep(seconds)
    others = len(list(Path(".").glob("running-*"))) - 1
    here.unlink()
    return others
@pytest.mark.alone
@pytest.mark.parametrize("turn", range(4))
def test_alone(turn):
    assert stay(0.1) == 0
@pytest.mark.parametrize("turn", range(10))
def test_together(turn):
    if stay(0.1):
        Path("together").touch()
"""
    code, output = run_tests(tmp_path, sample, "-n3", "--dist=worksteal")
    assert (code, "14 passed" in output) == (0, True), output
    assert (tmp_path / "together").exists()


@however_run
def test_a_hot_module_that_was_never_compiled_ends_the_run_in_one_sentence(tmp_path: Path, side_by_side: tuple[str, ...]) -> None:
    make_hot_module(tmp_path)
    code, output = run_tests(tmp_path, "import mosn_mp.head\ndef test_one(): pass\n", *side_by_side)
    assert code == 1
    assert "hot modules are not compiled or out of date (mosn_mp.head): run scripts/test" in output
    assert "Traceback" not in output


@however_run
def test_a_hot_module_older_than_its_source_ends_the_run(tmp_path: Path, side_by_side: tuple[str, ...]) -> None:
    package = make_hot_module(tmp_path)
    (package / "head.py").write_text("")
    (package / "head.abi.so").touch()
    os.utime(package / "head.abi.so", (1, 1))
    code, output = run_tests(tmp_path, "import mosn_mp.head\ndef test_one(): pass\n", *side_by_side)
    assert code > 0
    assert "hot modules are out of date (mosn_mp.head): run scripts/test" in output


def test_a_stale_module_that_no_test_uses_does_not_stop_the_others(tmp_path: Path) -> None:
    make_hot_module(tmp_path)
    assert "1 passed" in run_tests(tmp_path, "def test_one(): pass\n")[1]
