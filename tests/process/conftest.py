"""Fixtures of the tests with real processes."""

import copy
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The same, serving, for all tests of a module that ask for `serving`."""
    made = Program(tmp_path_factory.mktemp("shared"))
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def serving(shared: Program) -> Iterator[Program]:
    """A program that serves, for a test that leaves it serving: what it changes in the configuration a reload puts back."""
    config, port, text = copy.deepcopy(shared.config), shared.port, shared.path.read_text()
    yield shared
    if shared.path.read_text() != text:
        shared.config, shared.port = config, port
        shared.write()
        done = shared.run("reload")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def running(program: Program) -> Program:
    """The same, serving."""
    program.start()
    return program
