"""A program that root starts for another user."""

from collections.abc import Iterator

import pytest

from tests.process.as_user.user import interpreter, made_for_user
from tests.process.program import Program

__all__ = ["interpreter"]


@pytest.fixture
def program(interpreter: tuple[str, str]) -> Iterator[Program]:
    """With an access log."""
    with made_for_user(interpreter) as made:
        made.server["listeners"][0]["access_logs"] = [{}]
        made.write()
        yield made
