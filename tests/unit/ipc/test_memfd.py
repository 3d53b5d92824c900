"""Sealed memfds."""

import fcntl
import mmap
import os

import pytest

from mosn_mp.ipc.memfd import MAX_PLAN_BYTES, read_sealed, seal_bytes


@pytest.mark.parametrize("content", [b"", b"x", b"snapshot" * 100_000])
def test_what_was_sealed_is_read_again_and_again(content: bytes) -> None:
    fd = seal_bytes("test", content)
    assert read_sealed(fd) == content
    os.lseek(fd, 3, os.SEEK_SET)  # the offset is shared by all who hold it
    assert read_sealed(fd) == content
    os.close(fd)


def test_nobody_can_change_it() -> None:
    fd = seal_bytes("test", b"frozen")
    with pytest.raises(PermissionError):
        os.write(fd, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 1)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 6, prot=mmap.PROT_WRITE)
    os.close(fd)


def test_one_that_is_too_large_is_not_read() -> None:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 3 << 29)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xF)
    with pytest.raises(ValueError, match="1610612736 bytes: at most 33554432"):
        read_sealed(fd, MAX_PLAN_BYTES)
    os.close(fd)


def test_it_is_not_inherited_by_other_programs() -> None:
    fd = seal_bytes("test", b"x")
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_what_is_not_sealed_is_not_believed() -> None:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    with pytest.raises(ValueError, match="not sealed"):
        read_sealed(fd)
    os.close(fd)
    reader, writer = os.pipe()
    with pytest.raises(ValueError, match="no memfd"):
        read_sealed(reader)
    os.close(reader)
    os.close(writer)
