"""The Unix socket of the admin API."""

import errno
import socket
from pathlib import Path

import pytest

from mosn_mp.admin.unix_socket import SocketFile, UnixSocket


def connect(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path))


def test_a_socket_is_taken_away_once_and_not_the_next_one_with_the_same_number(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = UnixSocket(SocketFile(str(path), 0o600))
    first.close()
    assert not path.exists()
    second = UnixSocket(SocketFile(str(path), 0o600))
    first.close()  # a process that ends closes what it has closed
    assert connect(path) == 0
    second.close()


def test_what_somebody_else_listens_at_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = UnixSocket(SocketFile(str(path), 0o600))
    with pytest.raises(OSError) as caught:
        UnixSocket(SocketFile(str(path), 0o600))
    assert caught.value.errno == errno.EADDRINUSE
    path.unlink()
    second = UnixSocket(SocketFile(str(path), 0o600))
    first.close()
    assert connect(path) == 0
    second.close()
    assert not path.exists()
