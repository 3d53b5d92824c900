"""A program of root's whose filter file is the enemy's: what is run inside its worker and its controller."""

import ast
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.as_user.user import FOUND, USER, interpreter, made_for_user
from tests.process.infiltrator import address_of
from tests.process.program import DEADLINE_S, HERE, Program

__all__ = ["FOUND", "USER", "interpreter"]

@pytest.fixture
def program(interpreter: tuple[str, str]) -> Iterator[Program]:
    """A program that root started for USER, and whose filter file is the enemy's."""
    with made_for_user(interpreter) as made:
        made.server["listeners"][0]["stream_filters"].append({"type": "infiltrator:Infiltrator", "python_path": str(HERE)})
        made.write()
        yield made


def inside(pid: int, code: str) -> Any:
    """What *code*, run inside process *pid*, calls `found`; a text that names the exception if it raised one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(address_of(pid))
        connection.sendall(code.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return ast.literal_eval(answer.decode())


def infiltrated(program: Program) -> list[int]:
    """The processes that run the enemy's file: a worker and the controller."""
    return [program.pids("worker")[0], program.pids("controller")[0]]
