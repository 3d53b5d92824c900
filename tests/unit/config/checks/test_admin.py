"""The admin section: where it may listen, who may make changes, and the file with the token."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Errors = Callable[[object], list[str]]
TOKEN = "0123456789abcdef"
ADDRESS = {"socket_address": {"address": "127.0.0.1", "port_value": 34901}}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.parametrize(
    ("admin", "error"),
    [
        ({}, "admin: 'address' is missing"),
        ({"address": {}}, "admin.address: give 'socket_address', 'pipe' or both"),
        ({"address": {"pipe": {}}}, "admin.address.pipe: 'path' is missing"),
        ({"address": {"pipe": {"path": "a.sock", "mode": "0666"}}},
         "admin.address.pipe.mode: unknown mode \"0666\"; did you mean '0660'?"),
        ({"address": {"pipe": {"path": "a.sock", "mode": 384}}}, "admin.address.pipe.mode: expected a text, got 384"),
        ({"address": {"pipe": {"path": "a\0b"}}}, "admin.address.pipe.path: a path has no NUL"),
        ({"address": {"pipe": {"path": "/" + "a" * 107}}},
         f'admin.address.pipe.path: "/{"a" * 75}... is too long for the path of a Unix socket; at most 107 bytes'),
        ({"address": ADDRESS, "hosts": ["ok.example", "http://a"]},
         'admin.hosts[1]: "http://a" is not the name of a host; write it without scheme, port and \'*\''),
        ({"address": ADDRESS, "hosts": ["a:80"]},
         'admin.hosts[0]: "a:80" is not the name of a host; write it without scheme, port and \'*\''),
        ({"address": ADDRESS, "token_file": "/nowhere/token"},
         "admin.token_file: /nowhere/token cannot be read: No such file or directory"),
        ({"address": ADDRESS, "token_file": "/proc"}, "admin.token_file: /proc is no file"),
        ({"address": ADDRESS, "token_file": "a\0b"}, None),
        ({"address": ADDRESS, "tokenfile": "x"}, "admin.tokenfile: unknown key; did you mean 'token_file'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_an_error(minimal: dict[str, Any], errors_of: Errors, admin: Any, error: str | None) -> None:
    (found,) = errors_of({**minimal, "admin": admin})
    assert found == error or (error is None and found.startswith("admin.token_file: "))


def test_changes_that_nobody_can_make_are_a_warning(minimal: dict[str, Any], warnings_of: Errors, token_file: Path) -> None:
    def warned(**admin: object) -> bool:
        warnings = warnings_of({**minimal, "admin": {"address": ADDRESS, **admin}})
        return any("nobody can make a change" in line for line in warnings)

    assert warned(debug=True)
    assert not warned()
    assert not warned(debug=True, token_file=str(token_file))
    assert not warned(debug=True, unauthenticated_changes=True)
    assert not warned(debug=True, address={**ADDRESS, "pipe": {"path": "a.sock"}})


@pytest.mark.parametrize(("mode", "is_right"), [(0o600, True), (0o400, True), (0o640, True), (0o660, False), (0o604, False)])
def test_nobody_else_may_read_or_change_a_token(
    minimal: dict[str, Any], errors_of: Errors, token_file: Path, mode: int, is_right: bool
) -> None:
    token_file.chmod(mode)
    errors = errors_of({**minimal, "admin": {"address": ADDRESS, "token_file": str(token_file)}})
    assert errors == ([] if is_right else [
        f"admin.token_file: {token_file} has mode {mode:04o}: others could read or change it; write `chmod 0600 {token_file}`"
    ])  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_token_is_roots_or_its_users_own(minimal: dict[str, Any], errors_of: Errors, token_file: Path) -> None:
    os.chown(token_file, 65534, -1)
    config = {**minimal, "admin": {"address": ADDRESS, "token_file": str(token_file)}}
    (error,) = errors_of(config)
    assert "belongs to user 65534: give it to root, or to whom the program runs as" in error
    config["servers"][0]["user"] = "nobody"
    assert errors_of(config) == []


@pytest.mark.parametrize(
    "content", ["", "short", "two words of many", TOKEN + "\x7f", "é" * 20, TOKEN + "\n" + TOKEN, "x" * 5000]
)
def test_what_is_no_word_is_no_token(minimal: dict[str, Any], errors_of: Errors, token_file: Path, content: str) -> None:
    token_file.write_text(content)
    (error,) = errors_of({**minimal, "admin": {"address": ADDRESS, "token_file": str(token_file)}})
    assert error == f"admin.token_file: {token_file} holds no token: one word of at least 16 visible ASCII characters"


def test_a_pipe_that_nobody_writes_to_is_no_token(minimal: dict[str, Any], errors_of: Errors, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (error,) = errors_of({**minimal, "admin": {"address": ADDRESS, "token_file": str(tmp_path / "fifo")}})
    assert error == f"admin.token_file: {tmp_path}/fifo is no file"
