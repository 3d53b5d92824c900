"""docs/protocols.md is true: its example is the file, its test passes, its configuration is served, the fast way compiles."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mosn_mp.codec.python_protocol import Frame, PythonProtocol
from mosn_mp.config.model import ThirdPartCodec
from tests.contract.examples import FOLDER

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/protocols.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLE = (FOLDER / "x_example.py").read_text()


def named(name: str) -> str:
    """The block whose first line is the name of a file."""
    return next(text for _, text in BLOCKS if text.startswith(f"# {name}\n"))


def run(directory: Path, *command: str) -> str:
    """The output of a command in *directory*, with the package importable."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "CC": "cc", "CFLAGS": "-O0"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=55, cwd=directory, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "x_example.py").write_text(EXAMPLE)
    (tmp_path / "test_x_example.py").write_text(named("test_x_example.py"))
    return tmp_path


def test_the_example_in_the_page_is_the_file() -> None:
    assert ("python", EXAMPLE) in BLOCKS


@pytest.mark.unsanitized
def test_the_test_of_the_page_passes(directory: Path) -> None:
    assert "1 passed" in run(directory, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", ".")


@pytest.mark.unsanitized
def test_the_fast_way_compiles_and_passes_the_same_test(directory: Path) -> None:
    (directory / "x_example.pxd").write_text(named("x_example.pxd"))
    (command,) = re.findall(r"^\$ (cythonize .*)$", PAGE, re.MULTILINE)
    run(directory, *command.split())
    assert "1 passed" in run(directory, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", ".")
    shown = run(directory, sys.executable, "-c", "import x_example; print(x_example.__file__)")
    assert shown.strip().endswith(".so")


def test_the_entry_of_the_page_has_the_keys_of_the_configuration() -> None:
    text = next(text for _, text in BLOCKS if "third_part_codec" in text)
    entries: list[dict[str, Any]] = json.loads("{" + text + "}")["third_part_codec"]["codecs"]
    assert [set(entry) for entry in entries] == [set(ThirdPartCodec.__struct_fields__)]


def test_the_page_names_every_attribute_and_argument() -> None:
    attributes = [name for name, value in vars(PythonProtocol).items() if not name.startswith("_") and not callable(value)]
    assert len(attributes) == 6
    for name in [*attributes, "kind", "id", "head_size", "body_size", "status", "headers", "timeout_ms"]:
        assert f"| `{name}` |" in PAGE
    assert repr(Frame(1, 2, 3, 4, 200, (), 5)) == "Frame(REQUEST, 2, 3, 4, 200, (), 5)"
