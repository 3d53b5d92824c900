"""Fixtures of the tests with real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A configuration of one listener and two workers, ended after the test."""
    made = Program(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def running(program: Program) -> Program:
    """The same, serving."""
    program.start()
    return program
