"""A program that root starts for another user."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.as_user.user import USER, interpreter
from tests.process.program import Program

__all__ = ["interpreter"]


@pytest.fixture
def program(interpreter: tuple[str, str]) -> Iterator[Program]:
    """A program for USER, in a directory where he may read (pytest's own are root's alone) and not write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        made = Program(Path(directory))
        made.python, made.environment["PYTHONPATH"] = interpreter
        made.server["user"] = USER
        made.server["listeners"][0]["access_logs"] = [{}]
        made.write()
        try:
            yield made
        finally:
            made.end()
